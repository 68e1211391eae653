#!/usr/bin/env python3
"""A node for tests: runs the pods that the scheduler gives it as processes of this machine. Needs root.

    node-agent.py --server URL --pki DIR --state DIR --address IP [--shared DIR] [--image IMAGE=PROGRAM]...

A container sees a throw-away copy of this machine's files with its volumes mounted, in process and network namespaces of its own:
every pod has an address, at which the node and other pods reach it, and the node's own address stands for the API server. Of the security
context user, groups, capabilities, no-new-privileges and the read-only root are real. --image: the program of this machine that is in an image; it
is found at whatever path a command of the container names that does not exist here.

As a kubelet it mounts ConfigMaps, Secrets, tokens and pod fields (with the link ..data that switches in one step when they change), resolves env,
probes over HTTP, runs preStop hooks, keeps the grace period, restarts with a backoff (of seconds, not minutes), takes termination messages, and tells
FailedMount. Startup probes look twice a second at least: tests wait for them. There are no Services, no logs or exec through the API, no init containers, no limits of memory or time.

DIR of --state has for each pod and container: pods/<pod uid>/<container>.pid (of its first process) and logs/<namespace>_<pod>_<container>.log, which
stays. DIR of --shared is /shared in every container: it stands for a server that all of them reach.
"""
import argparse
import atexit
import base64
import datetime
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

NODE = "local"
LOOK = 0.25  # seconds between two looks at the pods
REFRESH = 1.0  # at what is mounted; a kubelet takes up to two minutes
BACKOFF_MAX = 8  # seconds; a kubelet's is five minutes
MESSAGE_MAX = 4096
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Arguments: scratch folder, pid file, "ro" or "rw" for the root, number of mounts, of each SOURCE TARGET ro|rw, working folder, command.
# unshare --pid makes the next child process 1 of a namespace; it is waited for here, so that the status says which signal ended it.
CONTAINER = r"""
set -e
umask 022
scratch=$1 pid_file=$2 root_mode=$3 n=$4 root=$1/root; shift 4
mount --make-rprivate /
mount -t tmpfs tmpfs "$scratch"; mkdir "$scratch/upper" "$scratch/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero full random urandom tty; do : >"$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mkdir -m 1777 "$root/dev/shm"; ln -s /proc/self/fd "$root/dev/fd"; ln -s /proc/self/fd/2 "$root/dev/stderr"; ln -s /proc/self/fd/1 "$root/dev/stdout"
while [ "$n" -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; [ -e "$root$2" ] || : >"$root$2"; fi
  mount --bind "$1" "$root$2"
  [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
  n=$((n - 1)); shift 3
done
[ "$root_mode" = rw ] || mount -o remount,bind,ro "$root"
exec unshare --pid sh -c '
  root=$1 pid_file=$2; shift 2
  setpriv --pdeathsig KILL sh -c "mount -t proc proc \"\$0/proc\" && exec chroot \"\$0\" \"\$@\"" "$root" "$@" &
  echo $! >"$pid_file"
  wait $!' sh "$root" "$pid_file" "$@"
"""
ENTER = 'cd "$0" && exec "$@"'


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def run(*command, check=True):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if check and done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Api:
    """Requests as this node. A connection for each thread."""

    def __init__(self, server, pki):
        self.address = urllib.parse.urlsplit(server)
        self.tls = ssl.create_default_context(cafile=f"{pki}/ca.pem")
        self.tls.load_cert_chain(f"{pki}/node.pem", f"{pki}/node.key")
        self.of_thread = threading.local()

    def request(self, method, path, body=None):
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        for again in (True, False):
            connection = getattr(self.of_thread, "connection", None)
            try:
                if not connection:
                    connection = http.client.HTTPSConnection(self.address.hostname, self.address.port, context=self.tls, timeout=30)
                connection.request(method, path, body and json.dumps(body), {"Content-Type": kind} if body else {})
                answer = connection.getresponse()
                data = answer.read()
                self.of_thread.connection = connection
                break
            except (http.client.HTTPException, OSError) as error:
                self.of_thread.connection = None
                if not again:
                    raise OSError(f"{method} {path}: {error}") from error
        if answer.status >= 300:
            raise Refused(answer.status, json.loads(data).get("message", "") if data.startswith(b"{") else data.decode())
        return json.loads(data)


class Missing(Exception):
    """Something that a pod refers to is not there."""


class Network:
    """An address for each pod: a pair of interfaces, one end in the pod's namespace."""

    def __init__(self, address):
        self.address, self.prefix = address, address.rsplit(".", 1)[0]
        self.free = list(range(2, 255))
        self.lock = threading.Lock()
        self.clear()
        atexit.register(self.clear)
        run("ip", "address", "add", f"{address}/32", "dev", "lo")

    def clear(self):
        """What this start leaves, or an earlier one has left."""
        for number in range(2, 255):
            if os.path.exists(f"/run/netns/{self.name(number)}"):
                self.remove(number)
        run("ip", "address", "delete", f"{self.address}/32", "dev", "lo", check=False)

    def join(self):
        with self.lock:
            number = self.free.pop(0)
        name, address = self.name(number), f"{self.prefix}.{number}"
        self.remove(number)
        run("ip", "netns", "add", name)
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", name, "up")
        run("ip", "route", "replace", f"{address}/32", "dev", name, "src", self.address)
        inside = ("ip", "-netns", name)
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "address", "add", f"{address}/32", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", f"{self.address}/32", "dev", "eth0")
        run(*inside, "route", "add", f"{self.prefix}.0/24", "via", self.address)  # pods reach each other by way of the node
        pathlib.Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding").write_text("1")
        return number, address

    def name(self, number):  # at most 15 bytes; several nodes of one machine differ
        return "n" + "-".join(self.prefix.split(".")[1:]) + f"-{number}"

    def remove(self, number):
        run("ip", "link", "delete", self.name(number), check=False)
        run("ip", "netns", "delete", self.name(number), check=False)

    def leave(self, number):
        self.remove(number)
        with self.lock:
            self.free.append(number)


class Relay(socketserver.ThreadingTCPServer):
    """The node's address stands for the API server, which listens on this machine's loopback alone."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, address, port):
        self.to = ("127.0.0.1", port)
        super().__init__((address, port), None)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        try:
            with socket.create_connection(self.to, 10) as other:
                other.settimeout(None)
                back = threading.Thread(target=self.copy, args=(other, request), daemon=True)
                back.start()
                self.copy(request, other)
                back.join()
        except OSError:
            pass  # the caller sees a closed connection

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Volumes:
    """What a pod mounts, and where its values come from."""

    def __init__(self, node, pod):
        self.node, self.pod, self.folder = node, pod, pod.folder / "volumes"
        self.contents, self.tokens, self.version = {}, {}, 0

    def data(self, kind, name):
        """Of a ConfigMap or Secret: {key: bytes}."""
        try:
            found = self.node.api.request("GET", f"{self.pod.path}/{kind.lower()}s/{name}")
        except Refused as refused:
            if refused.status in (403, 404):  # to a node, what is not there is forbidden at first
                raise Missing(f'{kind.lower()} "{name}" not found') from None
            raise OSError(str(refused)) from refused
        if kind == "Secret":
            return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}
        return {key: value.encode() for key, value in found.get("data", {}).items()}

    def token(self, source):
        known = self.tokens.get(source["path"])
        if not known or time.time() > known[1]:
            answer = self.node.api.request("POST", f"{self.pod.path}/serviceaccounts/{self.pod.spec['serviceAccountName']}/token", {"spec": {
                "expirationSeconds": source["expirationSeconds"],
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": self.pod.meta["name"], "uid": self.pod.meta["uid"]}}})
            known = self.tokens[source["path"]] = (answer["status"]["token"].encode(), time.time() + source["expirationSeconds"] * 0.8)
        return known[0]

    def files(self, source):
        """Of one source of a volume: {path: bytes}."""
        if token := source.get("serviceAccountToken"):
            return {token["path"]: self.token(token)}
        if fields := source.get("downwardAPI"):
            return {item["path"]: self.pod.field(item["fieldRef"]["fieldPath"]).encode() for item in fields["items"]}
        kind = "ConfigMap" if "configMap" in source else "Secret"
        wanted = source["configMap" if kind == "ConfigMap" else "secret"]
        try:
            data = self.data(kind, wanted.get("name") or wanted["secretName"])
            if not wanted.get("items"):
                return data
            for item in wanted["items"]:
                if item["key"] not in data:
                    raise Missing(f"references non-existent {'config' if kind == 'ConfigMap' else 'secret'} key: {item['key']}")
        except Missing:
            if wanted.get("optional"):
                return {}
            raise
        return {item["path"]: data[item["key"]] for item in wanted["items"]}

    def mount(self):
        """Makes all volumes, or brings them up to date. Missing names the volume."""
        for volume in self.pod.spec.get("volumes", []):
            folder = self.folder / volume["name"]
            if "emptyDir" in volume:
                if not folder.exists():
                    folder.mkdir(parents=True)
                    os.chown(folder, -1, self.pod.group)
                    folder.chmod(0o2777)
                continue
            body = next((volume[kind] for kind in ("projected", "configMap", "secret", "downwardAPI") if kind in volume), None)
            if body is None:
                raise Missing(f'MountVolume.SetUp failed for volume "{volume["name"]}" : a kind of volume that this node does not have')
            try:
                found = {}
                for source in body.get("sources", [volume]):
                    found |= self.files(source)
            except Missing as missing:
                raise Missing(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {missing}') from None
            if self.contents.get(volume["name"]) != found:
                self.write(folder, found, body.get("defaultMode", 0o644))
                self.contents[volume["name"]] = found

    def write(self, folder, found, mode):
        """The kubelet's atomic writer: a folder of its own, to which ..data switches; links lead through ..data."""
        self.version += 1
        fresh = folder / f"..version-{self.version}"
        fresh.mkdir(parents=True)
        for path, content in found.items():
            target = fresh / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            os.chown(target, -1, self.pod.group)
            target.chmod(mode | (0o440 if self.pod.group else 0))
        old = folder / "..data"
        before = old.resolve() if old.is_symlink() else None
        for top in {path.split("/")[0] for path in found}:
            if not (folder / top).is_symlink():
                (folder / top).symlink_to(f"..data/{top}")
        (folder / "..data-new").symlink_to(fresh.name)
        (folder / "..data-new").rename(old)
        if before:
            shutil.rmtree(before, ignore_errors=True)

    def environment(self, container):
        env = {"PATH": SEARCH_PATH, "HOSTNAME": self.pod.meta["name"], "KUBERNETES_SERVICE_HOST": self.node.address,
               "KUBERNETES_SERVICE_PORT": str(self.node.api.address.port)}
        for entry in container.get("envFrom", []):
            kind = "ConfigMap" if "configMapRef" in entry else "Secret"
            data = self.data(kind, entry["configMapRef" if kind == "ConfigMap" else "secretRef"]["name"])
            env |= {entry.get("prefix", "") + key: value.decode() for key, value in data.items()}
        for entry in container.get("env", []):
            value = self.value(entry, container)
            if value is not None:
                env[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda match: env.get(match[1], match[0]), value)
        return env

    def value(self, entry, container):
        source = entry.get("valueFrom")
        if not source:
            return entry.get("value", "")
        if "fieldRef" in source:
            return self.pod.field(source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            return str(quantity(resource(container, source["resourceFieldRef"]["resource"])))
        kind = "ConfigMap" if "configMapKeyRef" in source else "Secret"
        ref = source["configMapKeyRef" if kind == "ConfigMap" else "secretKeyRef"]
        try:
            data = self.data(kind, ref["name"])
            if ref["key"] not in data:
                raise Missing(f"couldn't find key {ref['key']} in {kind} {self.pod.meta['namespace']}/{ref['name']}")
            return data[ref["key"]].decode()
        except Missing:
            if ref.get("optional"):
                return None
            raise


def resource(container, name):
    """limits.memory, as text; what the node has when there is no such limit."""
    group, kind = name.split(".")
    return container.get("resources", {}).get(group, {}).get(kind) or {"memory": "16Gi", "cpu": str(os.cpu_count())}[kind]


def quantity(text):
    number, unit = re.fullmatch(r"([0-9.]+)(\D*)", text).groups()
    powers = {"": 1, "m": 0.001, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    return -int(-float(number) * powers[unit] // 1)  # rounded up


class Probe:
    """One probe of a container while it runs; due at times of its own."""

    def __init__(self, spec, container, address, success):
        self.spec, self.good, self.bad = spec, 0, 0
        self.period = (spec or {}).get("periodSeconds", 10)
        self.ok = success  # before the first answer
        self.due = time.monotonic() + (spec or {}).get("initialDelaySeconds", 0)
        if spec:
            get = spec["httpGet"]
            port = next((p["containerPort"] for p in container.get("ports", []) if p.get("name") == get["port"]), get["port"])
            self.url = f"http://{address}:{port}{get.get('path', '/')}"

    def look(self):
        """True when it has failed as often as it may, this time."""
        if not self.spec or time.monotonic() < self.due:
            return False
        self.due = time.monotonic() + self.period
        try:
            with DIRECT.open(self.url, timeout=self.spec.get("timeoutSeconds", 1)):
                well = True
        except (OSError, http.client.HTTPException):
            well = False
        self.good, self.bad = (self.good + 1, 0) if well else (0, self.bad + 1)
        if self.good >= self.spec.get("successThreshold", 1):
            self.ok = True
        elif self.bad >= self.spec.get("failureThreshold", 3):
            self.ok, self.bad = False, 0
            return True
        return False


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Container:
    def __init__(self, pod, spec):
        self.pod, self.spec, self.name = pod, spec, spec["name"]
        self.process, self.state, self.last, self.restarts, self.start_at = None, {"waiting": {"reason": "ContainerCreating"}}, {}, 0, 0
        self.pid_file, self.words = pod.folder / f"{self.name}.pid", pod.folder / f"{self.name}.words"
        self.log = pod.node.state / "logs" / f"{pod.meta['namespace']}_{pod.meta['name']}_{self.name}.log"
        self.kill_at, self.hook = None, None
        self.set_probes()

    def set_probes(self):
        self.startup, self.liveness, self.readiness = (Probe(self.spec.get(kind), self.spec, self.pod.address, success) for kind, success in (
            ("startupProbe", "startupProbe" not in self.spec), ("livenessProbe", True), ("readinessProbe", "readinessProbe" not in self.spec)))
        if self.startup.spec:
            self.startup.period = min(self.startup.period, 0.5)

    # ---- starting

    def security(self, key, default=None):
        own, of_pod = self.spec.get("securityContext", {}), self.pod.spec.get("securityContext", {})
        return own.get(key, of_pod.get(key, default))

    def identity(self):
        """The command that becomes the container's user, with no more rights than it was given."""
        user, group = self.security("runAsUser", 0), self.security("runAsGroup", 0)
        words = ["setpriv", "--pdeathsig=KILL", f"--reuid={user}", f"--regid={group}", f"--groups={self.pod.group or group}"]
        if self.security("runAsNonRoot") and user == 0:
            raise Missing("container has runAsNonRoot and image will run as root")
        if not self.security("allowPrivilegeEscalation", True):
            words.append("--no-new-privs")
        if "ALL" in self.spec.get("securityContext", {}).get("capabilities", {}).get("drop", []):
            words += ["--bounding-set=-all", "--inh-caps=-all"]
        return words

    def mounts(self, program):
        hook = self.spec.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        commands = {words[0] for words in (self.spec.get("command", []), hook) if words and words[0].startswith("/")}
        found = [(program, path, "ro") for path in sorted(commands) if program and not os.path.exists(path)]
        for mount in self.spec.get("volumeMounts", []):
            source = self.pod.volumes.folder / mount["name"] / mount.get("subPath", ".")
            writable = any(v["name"] == mount["name"] and "emptyDir" in v for v in self.pod.spec["volumes"]) and not mount.get("readOnly")
            found.append((source, os.path.realpath(mount["mountPath"]), "rw" if writable else "ro"))
        found.append((self.words, self.spec.get("terminationMessagePath", "/dev/termination-log"), "rw"))
        if self.pod.node.shared:
            found.append((self.pod.node.shared, "/shared", "rw"))
        return found

    def start(self):
        program = self.pod.node.images.get(self.spec["image"])
        env = self.pod.volumes.environment(self.spec)
        command = [*(self.spec.get("command") or [program]), *self.spec.get("args", [])]
        if command[0] is None:
            raise Missing(f"no program is known for the image {self.spec['image']}")
        command = [re.sub(r"\$\((\w+)\)", lambda match: env.get(match[1], match[0]), word) for word in command]
        self.words.write_bytes(b"")
        self.words.chmod(0o666)
        self.pid_file.unlink(missing_ok=True)
        scratch = self.pod.folder / f"{self.name}.scratch"
        scratch.mkdir(exist_ok=True)
        mounts = self.mounts(program)
        arguments = [scratch, self.pid_file, "ro" if self.security("readOnlyRootFilesystem") else "rw", len(mounts),
                     *(word for mount in mounts for word in mount),
                     *self.identity(), "/bin/sh", "-c", ENTER, self.spec.get("workingDir", "/"), *command]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{self.pod.netns}", "unshare", "--mount", "sh", "-c", CONTAINER, "sh",
                 *map(str, arguments)], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.state, self.kill_at, self.hook = {"running": {"startedAt": now()}}, None, None
        self.set_probes()

    def try_start(self):
        try:
            self.start()
        except (Missing, OSError) as error:
            self.state = {"waiting": {"reason": "CreateContainerConfigError", "message": str(error)}}
            self.start_at = time.monotonic() + 1

    # ---- while it runs

    @property
    def ready(self):
        return bool(self.process) and self.startup.ok and self.readiness.ok

    def step(self):
        if self.process and self.process.poll() is not None:
            self.ended()
        if not self.process and "waiting" in self.state and time.monotonic() >= self.start_at and not self.pod.leaving:
            self.try_start()
        if not self.process:
            return
        if self.kill_at:
            self.go_on_ending()
        elif self.pod.leaving:
            self.end(self.pod.grace)
        elif self.startup.ok:
            self.readiness.look()
            if self.liveness.look():
                self.pod.event("Unhealthy", f"Liveness probe failed, container {self.name} will be restarted")
                self.end(self.pod.spec.get("terminationGracePeriodSeconds", 30))
        elif self.startup.look():
            self.end(self.pod.spec.get("terminationGracePeriodSeconds", 30))

    def ended(self):
        code = self.process.returncode if self.process.returncode >= 0 else 128 - self.process.returncode
        end = {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": now(), **self.state["running"]}
        if message := self.words.read_bytes()[:MESSAGE_MAX].decode(errors="replace"):
            end["message"] = message
        self.process, self.state = None, {"terminated": end}
        policy = self.pod.spec["restartPolicy"]
        if not self.pod.leaving and (policy == "Always" or (policy == "OnFailure" and code)):
            wait = min(2 ** self.restarts, BACKOFF_MAX) if self.restarts else 0
            self.last, self.start_at = self.state, time.monotonic() + wait
            self.restarts += 1
            self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": f"back-off {wait}s restarting failed container={self.name}"}}

    # ---- ending: the hook, SIGTERM, and SIGKILL when the grace is over

    def first_process(self):
        try:
            return int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None

    def send(self, number):
        if pid := self.first_process():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        elif number == signal.SIGKILL:
            self.process.kill()

    def end(self, grace):
        self.kill_at = time.monotonic() + grace
        command = self.spec.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        pid = self.first_process()
        if command and pid and grace > 0:
            with open(self.log, "ab") as log:
                self.hook = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "nsenter", f"--target={pid}", "--mount", "--pid", "--net", "--root", "--wd=/",
                                              *self.identity(), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": SEARCH_PATH})
        else:
            self.send(signal.SIGTERM)

    def go_on_ending(self):
        if time.monotonic() >= self.kill_at:
            if self.hook and self.hook.poll() is None:
                self.hook.kill()
            self.send(signal.SIGKILL)
        elif self.hook and self.hook.poll() is not None:
            if self.hook.returncode > 0:
                self.pod.event("FailedPreStopHook", f"PreStopHook failed, exit status {self.hook.returncode}")
            self.hook = None
            self.send(signal.SIGTERM)

    def status(self):
        return {"name": self.name, "image": self.spec["image"], "imageID": self.spec["image"], "state": self.state, "lastState": self.last,
                "restartCount": self.restarts, "ready": self.ready, "started": bool(self.process) and self.startup.ok}


class Pod(threading.Thread):
    """From the binding to the last step of the deletion."""

    def __init__(self, node, obj):
        super().__init__(daemon=True)
        self.node, self.obj, self.meta, self.spec = node, obj, obj["metadata"], obj["spec"]
        self.path = f"/api/v1/namespaces/{self.meta['namespace']}"
        self.folder = node.state / "pods" / self.meta["uid"]
        self.group = self.spec.get("securityContext", {}).get("fsGroup", 0)
        self.begun, self.sent, self.changed_at, self.mounted, self.refresh_at = now(), None, {}, False, 0
        self.gone = False  # from the API: nothing is left to tell
        self.told = {}
        self.number, self.address, self.containers = None, None, []

    def enter(self):
        """On the thread of its own, for it takes a while."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.number, self.address = self.node.network.join()
        self.netns = self.node.network.name(self.number)
        self.volumes = Volumes(self.node, self)
        self.containers = [Container(self, spec) for spec in self.spec["containers"]]

    @property
    def leaving(self):
        return self.gone or "deletionTimestamp" in self.obj["metadata"]

    @property
    def grace(self):
        return 0 if self.gone else self.obj["metadata"].get("deletionGracePeriodSeconds", 30)

    def field(self, path):
        known = {"status.podIP": self.address, "status.hostIP": self.node.address, "spec.nodeName": NODE,
                 "spec.serviceAccountName": self.spec.get("serviceAccountName", "")}
        match = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
        if match:
            return self.obj["metadata"].get(match[1], {}).get(match[2], "")
        return known[path] if path in known else str(self.obj["metadata"][path.removeprefix("metadata.")])

    def event(self, reason, message):
        """Once in ten seconds."""
        if time.monotonic() - self.told.get((reason, message), -10) < 10:
            return
        self.told[reason, message] = time.monotonic()
        self.node.api.request("POST", f"{self.path}/events", {
            "metadata": {"name": f"{self.meta['name']}.{time.time_ns():x}"[-253:]}, "type": "Warning", "reason": reason, "message": message, "count": 1,
            "firstTimestamp": now(), "lastTimestamp": now(), "source": {"component": "kubelet", "host": NODE},
            "involvedObject": {"kind": "Pod", "apiVersion": "v1", "namespace": self.meta["namespace"], "name": self.meta["name"], "uid": self.meta["uid"]}})

    def mount(self):
        """True once everything is there. Afterwards what is missing leaves the old state."""
        if time.monotonic() >= self.refresh_at:
            self.refresh_at = time.monotonic() + REFRESH
            try:
                self.volumes.mount()
                self.mounted = True
            except Missing as missing:
                if not self.mounted:
                    self.event("FailedMount", str(missing))
        return self.mounted

    def run(self):
        self.enter()
        while not (self.leaving and not any(c.process for c in self.containers)):
            try:
                if self.leaving or self.mount():
                    for container in self.containers:
                        container.step()
                if not self.gone:
                    self.publish()
            except (OSError, Refused, KeyError) as error:  # the API server is away, the pod has changed: again in the next round
                print(now(), self.meta["namespace"], self.meta["name"], repr(error), flush=True)
            time.sleep(0.1)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.node.network.leave(self.number)
        while not self.gone:
            try:
                self.publish()
                self.node.api.request("DELETE", f"{self.path}/pods/{self.meta['name']}", {"gracePeriodSeconds": 0, "preconditions": {"uid": self.meta["uid"]}})
                return
            except Refused:
                return
            except OSError:
                time.sleep(0.5)

    def phase(self):
        ends = [c.state.get("terminated", {}).get("exitCode") for c in self.containers]
        if None not in ends:
            return "Failed" if any(ends) else "Succeeded"
        return "Running" if any(c.process or c.restarts for c in self.containers) else "Pending"

    def condition(self, kind, holds):
        was = self.changed_at.get(kind)
        if not was or was[0] != holds:
            self.changed_at[kind] = (holds, now())
        return {"type": kind, "status": str(holds), "lastTransitionTime": self.changed_at[kind][1]}

    def publish(self):
        ready = all(c.ready for c in self.containers)
        status = {"phase": self.phase(), "hostIP": self.node.address, "podIP": self.address, "podIPs": [{"ip": self.address}], "startTime": self.begun,
                  "containerStatuses": [c.status() for c in self.containers],
                  "conditions": [c for c in self.obj.get("status", {}).get("conditions", []) if c["type"] == "PodScheduled"]
                  + [self.condition(kind, ready) for kind in ("ContainersReady", "Ready")] + [self.condition("Initialized", True)]}
        if status != self.sent:
            self.node.api.request("PATCH", f"{self.path}/pods/{self.meta['name']}/status", {"metadata": {"uid": self.meta["uid"]}, "status": status})
            self.sent = status


class Node:
    def __init__(self, options):
        self.api = Api(options.server, options.pki)
        self.state, self.address, self.shared = pathlib.Path(options.state), options.address, options.shared
        self.images = dict(image.split("=", 1) for image in options.image)
        shutil.rmtree(self.state / "pods", ignore_errors=True)
        for folder in ("pods", "logs"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        self.network = Network(self.address)
        Relay(self.address, self.api.address.port)
        self.pods, self.beat_at = {}, 0

    def register(self):
        try:
            self.api.request("POST", "/api/v1/nodes", {"metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}}})
        except Refused as refused:
            if refused.status != 409:  # of an earlier start
                raise

    def beat(self):
        if time.monotonic() < self.beat_at:
            return
        self.beat_at = time.monotonic() + 10
        size = {"cpu": "64", "memory": "64Gi", "pods": "40"}  # what others have left behind is not to be run all at once
        self.api.request("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": {
            "capacity": size, "allocatable": size, "addresses": [{"type": "InternalIP", "address": self.address}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now()}]}})

    def look(self):
        seen = {o["metadata"]["uid"]: o for o in self.api.request("GET", f"/api/v1/pods?fieldSelector=spec.nodeName={NODE}")["items"]}
        for uid, obj in seen.items():
            if uid in self.pods:
                self.pods[uid].obj = obj
            elif obj["status"].get("phase") not in ("Succeeded", "Failed") or "deletionTimestamp" in obj["metadata"]:
                self.pods[uid] = Pod(self, obj)
                self.pods[uid].start()
        for uid in set(self.pods) - set(seen):
            self.pods.pop(uid).gone = True

    def main(self):
        self.register()
        while True:
            try:
                self.beat()
                self.look()
            except (OSError, Refused) as error:
                print(now(), repr(error), flush=True)
            time.sleep(LOOK)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("server", "pki", "state", "address"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--shared")
    parser.add_argument("--image", action="append", default=[], metavar="IMAGE=PROGRAM")
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Node(parser.parse_args()).main()


if __name__ == "__main__":
    main()
