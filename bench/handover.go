// The same as handover.c with real channels; bench/run.py builds it where Go is installed.
package main

import (
	"os"
	"strconv"
)

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	routing, output := make(chan *[300]byte, 100), make(chan *[300]byte, 100)
	arrived := make(chan int)
	go func() {
		for m := range routing {
			output <- m
		}
		close(output)
	}()
	go func() {
		count := 0
		for range output {
			count++
		}
		arrived <- count
	}()
	var messages [203][300]byte
	for i := 0; i < n; i++ {
		routing <- &messages[i%len(messages)]
	}
	close(routing)
	if <-arrived != n {
		os.Exit(1)
	}
}
