package launch

import (
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/relay-sidecar/relay/plugin"
)

// Executable reports what keeps a file from being run, as far as looking at it
// tells.
func Executable(path string) error {
	wrong := func(what, hint string, args ...any) error {
		return &Error{File: path, What: what, Hint: fmt.Sprintf(hint, args...)}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return wrong("does not exist", "build it, or mend its path")
	case err != nil:
		return wrong("cannot be looked at: "+plain(err), "give relay's user access to it")
	case info.IsDir():
		return wrong("is a directory", "name the executable in it")
	case !info.Mode().IsRegular():
		return wrong("is no regular file", "name an executable")
	case info.Mode().Perm()&0o111 == 0:
		return wrong("is not executable", "run chmod +x on it")
	case info.Size() == 0:
		return wrong("is empty", "build it again")
	}
	if built := builtFor(path); built != "" && built != runtime.GOOS+"/"+runtime.GOARCH {
		return wrong("is built for "+built+", and this is "+runtime.GOOS+"/"+runtime.GOARCH, "build it for this system (Go: GOOS=%s GOARCH=%s)", runtime.GOOS, runtime.GOARCH)
	}
	return nil
}

// builtFor is the system that an executable is for; empty: nobody can say.
func builtFor(path string) string {
	known := map[string]string{
		"EM_X86_64": "amd64", "EM_AARCH64": "arm64", "EM_386": "386", "EM_ARM": "arm", "EM_RISCV": "riscv64", "EM_S390": "s390x", "EM_PPC64": "ppc64",
		"CpuAmd64": "amd64", "CpuArm64": "arm64",
	}
	arch := func(machine string) string {
		if name := known[machine]; name != "" {
			return name
		}
		return machine
	}
	if f, err := elf.Open(path); err == nil {
		defer f.Close()
		system := runtime.GOOS
		if system == "darwin" {
			system = "linux" // an ELF file does not always say for which system it is
		}
		return system + "/" + arch(f.Machine.String())
	}
	if f, err := macho.Open(path); err == nil {
		defer f.Close()
		return "darwin/" + arch(f.Cpu.String())
	}
	if f, err := pe.Open(path); err == nil {
		f.Close()
		return "windows"
	}
	return ""
}

var (
	offered = regexp.MustCompile(`[Pp]lugin version: (-?\d+)`)
	printed = regexp.MustCompile(`(?s)^Unrecognized remote plugin message: ([^\n]*)`)
)

// explain puts go-plugin's words for a start that failed into words for who has
// to mend it.
func explain(c Command, err error, cmd *exec.Cmd, words string) error {
	e := &Error{File: c.File}
	said := ""
	if words != "" {
		said = "; its last words: " + c.Mask(words)
	}
	text := err.Error()
	line := printed.FindStringSubmatch(text)
	switch {
	case cmd.Process == nil:
		if bad := Executable(c.Path); bad != nil {
			var known *Error
			if errors.As(bad, &known) {
				known.File = c.File
			}
			return bad
		}
		e.What = "does not start: " + plain(err)
		switch {
		case errors.Is(err, syscall.ENOEXEC):
			e.What, e.Hint = "is no executable of this system", "a script begins with a line such as #!/usr/bin/env node"
		case errors.Is(err, fs.ErrNotExist):
			e.What, e.Hint = "does not start: the interpreter or loader that it names does not exist", "install it, or link the executable statically"
		case errors.Is(err, fs.ErrPermission):
			e.Hint = "is the store's directory on a file system that is mounted noexec?"
		}
	case strings.Contains(text, "timeout while waiting for plugin to start"):
		e.What = fmt.Sprintf("printed no handshake within %s", startTimeout) + said
		e.Hint = "a plugin prints its handshake line first of all"
	case strings.HasPrefix(text, "plugin exited before"), line != nil && line[1] == "":
		e.What = "ended before its handshake (" + cmd.ProcessState.String() + ")" + said
		e.Hint = "a plugin prints its handshake line and goes on running"
	case line != nil, strings.HasPrefix(text, "error parsing core protocol version"):
		what := ""
		if line != nil {
			what = fmt.Sprintf(" %q", line[1][:min(len(line[1]), 100)])
		}
		e.What = "printed" + c.Mask(what) + " where its handshake belongs" + said
		e.Hint = "nothing else may be printed to standard output before it; is it a plugin of relay?"
	case strings.Contains(text, "unsupported plugin protocol"):
		e.What = "speaks another protocol than gRPC"
		e.Hint = "the handshake line ends in |grpc"
	case strings.HasPrefix(text, "incompatible core API version"):
		e.What = "speaks another handshake than go-plugin's version 1"
		e.Hint = "the handshake line begins with 1|"
	case offered.MatchString(text), strings.Contains(text, "ncompatible API version"):
		version := 0
		if m := offered.FindStringSubmatch(text); m != nil {
			version, _ = strconv.Atoi(m[1])
		}
		e.What = fmt.Sprintf("speaks version %d of the plugin protocol, this relay speaks version %d", version, plugin.ProtocolVersion)
		e.Hint = "update the plugin"
		if version > plugin.ProtocolVersion {
			e.Hint = "update relay, or take an older version of the plugin"
		}
	default:
		e.What = "does not shake hands: " + c.Mask(strings.Join(strings.Fields(text), " ")) + said
	}
	return e
}

// plain leaves out the path, which is named anyway.
func plain(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
