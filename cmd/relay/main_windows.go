// Command relay says on Windows that it does not run there yet.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "relay: error: relay does not run on Windows yet; it runs on Linux and macOS")
	os.Exit(1)
}
