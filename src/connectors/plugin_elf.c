/* ELF as far as a note needs it: the ELF header, the program headers, the PT_NOTE segments (elf(5)). Every number in
 * the file may be wrong, so nothing is used before it is compared with what was read. */
#include "connectors/plugin_elf.h"

#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "connectors/plugin.h"

/* This program's own, made by the linker: the machine that a plugin must be for. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* A note is 28 bytes; those of a linker come to some hundred. */
#define NOTES_MAX 4096
#define PROGRAM_HEADERS_MAX 64

static bool df_plugin_read(int fd, void *out, size_t size, uint64_t offset)
{
	return offset < INT64_MAX && pread(fd, out, size, (off_t)offset) == (ssize_t)size;
}

/* Rounded up to what notes are aligned to: 8 when their segment says so, else 4. */
static size_t df_plugin_aligned(size_t n, size_t align)
{
	size_t to = align == 8 ? 8 : 4;

	return (n + to - 1) / to * to;
}

/* Looks for the note among those of one segment. */
static bool df_plugin_find_note(const char *notes, size_t len, size_t align, uint32_t *ret)
{
	const size_t name_len = sizeof(DF_PLUGIN_NOTE_NAME);
	ElfW(Nhdr) note;

	for (size_t at = 0; len - at >= sizeof(note);) {
		size_t name = at + sizeof(note), text, next;

		memcpy(&note, notes + at, sizeof(note));
		if (note.n_namesz > len || note.n_descsz > len)
			return false;
		text = df_plugin_aligned(name + note.n_namesz, align);
		next = df_plugin_aligned(text + note.n_descsz, align);
		if (text + note.n_descsz > len)
			return false;
		if (note.n_type == DF_PLUGIN_NOTE_TYPE && note.n_namesz == name_len && note.n_descsz == sizeof(*ret) &&
		    memcmp(notes + name, DF_PLUGIN_NOTE_NAME, name_len) == 0) {
			memcpy(ret, notes + text, sizeof(*ret));
			return true;
		}
		if (next > len)
			return false;
		at = next;
	}
	return false;
}

static bool df_plugin_segment_has_note(int fd, const ElfW(Phdr) * segment, uint32_t *ret)
{
	char notes[NOTES_MAX];
	size_t len = segment->p_filesz < NOTES_MAX ? (size_t)segment->p_filesz : NOTES_MAX;

	return segment->p_type == PT_NOTE && df_plugin_read(fd, notes, len, segment->p_offset) &&
	       df_plugin_find_note(notes, len, segment->p_align, ret);
}

/* What is to be mapped must be there: past the end of a file that was copied in part, a page is a SIGBUS. */
static bool df_plugin_segment_whole(const ElfW(Phdr) * segment, uint64_t file_size)
{
	return segment->p_type != PT_LOAD ||
	       (segment->p_offset <= file_size && segment->p_filesz <= file_size - segment->p_offset);
}

int df_plugin_read_abi(int fd, uint32_t *ret, struct df_error *err)
{
	const ElfW(Ehdr) *own = &__ehdr_start;
	off_t size = lseek(fd, 0, SEEK_END);
	bool found = false;
	ElfW(Ehdr) file;
	ElfW(Phdr) segment;

	if (!df_plugin_read(fd, &file, sizeof(file), 0) || memcmp(file.e_ident, ELFMAG, SELFMAG) != 0 ||
	    file.e_type != ET_DYN)
		return df_error_set(err, DF_ERR_CONFIG, "no shared object");
	if (file.e_ident[EI_CLASS] != own->e_ident[EI_CLASS] || file.e_ident[EI_DATA] != own->e_ident[EI_DATA] ||
	    file.e_machine != own->e_machine)
		return df_error_set(err, DF_ERR_CONFIG,
				    "made for another kind of machine (ELF machine %u, this program has %u)",
				    file.e_machine, own->e_machine);
	for (size_t i = 0; i < file.e_phnum && i < PROGRAM_HEADERS_MAX; i++) {
		if (!df_plugin_read(fd, &segment, sizeof(segment), file.e_phoff + i * sizeof(segment)) ||
		    !df_plugin_segment_whole(&segment, size < 0 ? 0 : (uint64_t)size))
			return df_error_set(err, DF_ERR_CONFIG, "no whole shared object: it ends too early");
		found = found || df_plugin_segment_has_note(fd, &segment, ret);
	}
	return found ? 0
		     : df_error_set(
			       err, DF_ERR_CONFIG,
			       "no connector plugin: DF_PLUGIN() stands in none of its files (see <dataflow/connector.h>)");
}
