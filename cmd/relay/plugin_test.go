package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugin/plugintest/kit"
	"github.com/relay-sidecar/relay/plugins"
)

// TestBuiltInProvidersPassTheKit checks what is asked of third parties on
// relay's own plugins.
func TestBuiltInProvidersPassTheKit(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Parallel() // it mostly waits
	executable, err := exec.LookPath("relay")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plugins.All() {
		name := p.Describe().Name
		t.Run(name, func(t *testing.T) {
			v := vendors[name]
			target := map[string]any{"url": "${VENDOR}" + v.path}
			if key, value, ok := strings.Cut(v.settings, ": "); ok {
				target[key] = value
			}
			raw, err := json.Marshal(target)
			if err != nil {
				t.Fatal(err)
			}
			answer := kit.Answer{Status: http.StatusOK, Body: v.answer}
			if v.answer == "" {
				answer.Status = http.StatusAccepted
			}
			plugintest.RunCase(t, kit.Plugin{
				Command: []string{executable, "plugin", "serve", name},
				Case: &kit.Case{
					Provider: json.RawMessage(`{}`), Target: raw, Answer: answer,
					// What each says in its own words is tested by its own tests.
					Classes: []kit.Class{
						{Name: "too fast", Answer: kit.Answer{Status: http.StatusTooManyRequests, Headers: map[string]string{"Retry-After": "7"}}, Want: []relay.Verdict{relay.Temporary}},
						{Name: "broken", Answer: kit.Answer{Status: http.StatusBadGateway}, Want: []relay.Verdict{relay.Temporary, relay.Ambiguous}},
					},
					Refused: []kit.Refused{{Target: json.RawMessage(`{"url": 7}`), Pointer: "/url"}},
				},
			})
		})
	}
}

// needsNode skips where there is no Node.js to run with.
func needsNode(t *testing.T) {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s: %v", program, err)
		}
	}
}

// TestPluginFromScaffoldToMessage follows the README of a new plugin word by
// word: build it, check it, put it into the directory, see a message arrive;
// then changes it, and sees the change arrive without a restart.
func TestPluginFromScaffoldToMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Parallel() // it mostly waits
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("go", func(t *testing.T) {
		dir := workDir(t, nil)
		sh(t, dir, "relay plugin new fresh --lang go --sdk "+root)
		project := filepath.Join(dir, "relay-plugin-fresh")
		followREADME(t, project, "fresh", "FRESH_URL", func() {
			edit(t, filepath.Join(project, "provider.go"), `m.Mentions, 250) + "\n"`, `m.Mentions, 250) + " (changed)\n"`)
		})
		sh(t, project, "CGO_ENABLED=0 go vet ./...")
	})
	t.Run("go without the SDK", func(t *testing.T) {
		dir := workDir(t, nil)
		sh(t, dir, "relay plugin new fresh")
		project := filepath.Join(dir, "relay-plugin-fresh")
		text, err := os.ReadFile(filepath.Join(project, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		commands, _, _ := strings.Cut(blocks(string(text), "console")[0], "$ relay plugin check")
		sh(t, project, "set -e; CGO_ENABLED=0; export CGO_ENABLED\n"+strings.ReplaceAll(strings.ReplaceAll(commands, "$ ", ""), "/path/to/relay", root))
	})
	t.Run("node", func(t *testing.T) {
		needsNode(t)
		dir := workDir(t, nil)
		sh(t, dir, "relay plugin new fresh --lang node")
		project := filepath.Join(dir, "relay-plugin-fresh")
		followREADME(t, project, "fresh", "FRESH_URL", func() {
			edit(t, filepath.Join(project, "plugin.js"), "say(m.title)", "say(m.title) + ' (changed)'")
		})
	})
	t.Run("node example", func(t *testing.T) {
		needsNode(t)
		dir := workDir(t, nil)
		project := filepath.Join(dir, "plugin-node")
		if err := os.Mkdir(project, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"README.md", "build.js", "package.json", "package-lock.json", "plugin.js", "plugincheck.json", "provider.proto", "relay.js"} {
			text, err := os.ReadFile(filepath.Join(root, "examples", "plugin-node", name))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(project, name), string(text))
		}
		followREADME(t, project, "mattermost", "MATTERMOST_URL", func() {
			edit(t, filepath.Join(project, "plugin.js"), "title: cut(say(m.title), 1000)", "title: cut(say(m.title) + ' (changed)', 1000)")
		})
	})
}

// TestExamplePluginInGo runs the tests of the example, which is a module of its
// own, and follows its README.
func TestExamplePluginInGo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Parallel() // it mostly waits
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sh(t, filepath.Join(root, "examples", "plugin-ntfy"), "CGO_ENABLED=0 go test ./... && CGO_ENABLED=0 go vet ./...")
}

// followREADME does what a plugin's README says, until a message arrives, and
// again after a change.
func followREADME(t *testing.T, project, name, variable string, change func()) {
	t.Helper()
	h := newHook(t)
	home := workDir(t, map[string]string{"plugins.d/.keep": ""})
	text, err := os.ReadFile(filepath.Join(project, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	steps := func() {
		for line := range strings.Lines(blocks(string(text), "console")[0]) {
			command := strings.TrimPrefix(strings.TrimSpace(line), "$ ")
			sh(t, project, "CGO_ENABLED=0; export CGO_ENABLED; "+strings.ReplaceAll(command, "/path/to/", home+"/"))
		}
	}
	steps()
	templateTries := 0
	config := strings.ReplaceAll(blocks(string(text), "yaml")[0], "${"+variable+"}", h.URL+"/hooks/abcdefghijklm")
	writeFile(t, filepath.Join(home, "relay.yaml"), "server: {listen: 127.0.0.1:0}\nstore: {path: ./store}\n"+config)
	p := startRelay(t, home)
	arrives := func(id, want string) {
		t.Helper()
		p.accept(fmt.Sprintf(`{"id":%q,"type":"issue.approval_requested","title":"Hello %[1]s","link":"https://app.example.com/issues/101","project":{"name":"a-demo-project"}}`, id))
		p.until("the message "+id, func() bool {
			return slices.ContainsFunc(h.all(), func(body string) bool { return strings.Contains(body, want) })
		})
	}
	arrives("one", "Hello one")
	if body := h.all()[0]; !strings.Contains(body, "https://app.example.com/issues/101") || !strings.Contains(body, "a-demo-project") {
		t.Errorf("the event's link or a field of its message is lost: %s", body)
	}
	before, _ := p.plugin(name)
	change()
	steps()
	p.until("the changed plugin took over", func() bool {
		pid, _ := p.plugin(name)
		return pid != before
	})
	arrives("two", "Hello two (changed)")
	// The sample of a template, put where the README says, is live without a build.
	if more := blocks(string(text), "console"); len(more) > 1 {
		edit(t, filepath.Join(project, "templates", name, "default.ts"), "title: event.title", "title: 'By a template: ' + event.title")
		sh(t, project, strings.ReplaceAll(strings.ReplaceAll(more[1], "$ ", ""), "/path/to/", home+"/"))
		p.until("the template is live", func() bool {
			templateTries++
			id := fmt.Sprintf("three-%d", templateTries)
			p.accept(fmt.Sprintf(`{"id":%q,"type":"x.any","title":"Hello"}`, id))
			return slices.ContainsFunc(h.all(), func(body string) bool { return strings.Contains(body, "By a template: Hello") })
		})
	}
	p.stop()
}

func sh(t *testing.T, dir, command string) string {
	t.Helper()
	c := exec.Command("sh", "-c", command)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func edit(t *testing.T, file, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", file, old)
	}
	writeFile(t, file, strings.ReplaceAll(string(text), old, replacement))
}

// badPlugin is a program that is a plugin in the wrong way that its argument says.
func badPlugin() {
	switch mode := os.Args[1]; mode {
	case "rubbish":
		fmt.Println("Welcome to the plugin!")
		time.Sleep(time.Hour)
	case "exits":
		fmt.Fprintln(os.Stderr, "cannot find libchat.so")
		os.Exit(3)
	case "old", "new":
		version := map[string]int{"old": 0, "new": 2}[mode]
		fmt.Printf("1|%d|unix|/tmp/no.sock|grpc|\n", version)
		time.Sleep(time.Hour)
	case "silent":
		time.Sleep(time.Hour)
	case "slow": // to begin with
		time.Sleep(3 * time.Second)
		plugin.Serve(named(mode))
	case "mute": // never says who it is
		plugin.ServeProcess(muteServer{}, nil)
	case "deaf": // never speaks on its socket
		l, err := net.Listen("unix", filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s"))
		if err != nil {
			os.Exit(1)
		}
		fmt.Printf("1|1|unix|%s|grpc|\n", l.Addr())
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	default:
		plugin.Serve(named(mode))
	}
}

type muteServer struct {
	pluginpb.UnimplementedProviderServer
}

func (muteServer) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	select {}
}

// named is a provider that works, but for its name or its schema.
type named string

func (n named) Describe() plugin.Description {
	d := plugin.Description{Name: string(n), Version: "1", DestinationSchema: json.RawMessage(`{"type":"object","properties":{"x":{"type":"string"}}}`)}
	if n == "reserved" {
		d.DestinationSchema = json.RawMessage(`{"type":"object","properties":{"timeout":{"type":"string"}}}`)
	}
	return d
}

func (n named) Open(plugin.Settings) (plugin.Destination, []plugin.Problem) {
	switch n {
	case "panics":
		panic("there is no room")
	case "stuck":
		select {}
	case "ponders":
		time.Sleep(3 * time.Second)
	}
	return nil, nil
}

// TestSlowPluginsHoldNobodyUp: a plugin that never says who it is, or what it
// makes of its settings, delays neither the start, nor a reload, nor the end;
// one that takes its time is taken up when it is there, in its first process.
func TestSlowPluginsHoldNobodyUp(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Parallel() // it mostly waits
	h := newHook(t)
	dir := workDir(t, nil)
	config := fmt.Sprintf("server: {listen: 127.0.0.1:0}\nstore: {path: ./store}\nplugins: ./plugins.d\ndestinations:\n  good: {provider: custom, url: %q, format: event}\n", h.URL)
	for _, mode := range []string{"silent", "mute", "stuck", "slow", "ponders"} {
		path := filepath.Join(dir, "plugins.d", "relay-plugin-"+mode)
		writeFile(t, path, "#!/bin/sh\nexec badplugin "+mode+"\n")
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("  to-%s: {provider: %[1]s}\n", mode)
	}
	file := filepath.Join(dir, "relay.yaml")
	writeFile(t, file, config)
	// Who waits for such a plugin waits for the 10 s that it may take to start.
	promptly := func(what string, f func()) {
		t.Helper()
		before := time.Now()
		f()
		if d := time.Since(before); d > 9*time.Second {
			t.Errorf("%s took %s", what, d)
		}
	}
	var p *relayProcess
	promptly("the start", func() { p = startRelay(t, dir) })
	state := func(name string) string {
		var list struct {
			Destinations []struct{ Name, State, Reason string }
		}
		promptly("an answer", func() { p.call("GET", "/v1/destinations", "", &list) })
		for _, d := range list.Destinations {
			if d.Name == name {
				return d.State + " " + d.Reason
			}
		}
		return "missing"
	}
	p.accept(`{"id":"e1","type":"issue.created","title":"Not held up"}`)
	p.until("the good destination has it", func() bool { return len(h.all()) == 1 })
	for _, name := range []string{"slow", "ponders"} {
		p.until(name+" is taken up", func() bool { return state("to-"+name) == "active " })
		if _, restarts := p.plugin(name); restarts != 0 {
			t.Errorf("%s was started %d times more", name, restarts)
		}
	}
	writeFile(t, file, config+"  another: {provider: stuck, x: y}\n")
	promptly("a reload", func() { p.call("POST", "/v1/reload", "", nil) })
	for _, name := range []string{"silent", "mute", "stuck"} {
		if got := state("to-" + name); !strings.HasPrefix(got, "paused plugin unavailable: ") {
			t.Errorf("to-%s is %s", name, got)
		}
	}
	promptly("relay reload", func() {
		if out, err := exec.Command("relay", "reload", "--server", p.base).CombinedOutput(); err != nil ||
			!strings.Contains(string(out), "relay: warning: plugin silent does not run (") {
			t.Errorf("relay reload (%v):\n%s", err, out)
		}
	})
	promptly("the end", p.stop)
}

// TestBadPluginsAreNamed is the table of what can be wrong with a plugin: relay
// says what, about which file, and what to do, and everything else goes on.
func TestBadPluginsAreNamed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Parallel() // it mostly waits
	h := newHook(t)
	dir := workDir(t, nil)
	script := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, "plugins.d", "relay-plugin-"+name)
		writeFile(t, path, text)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad := func(name, mode string) { script(name, "#!/bin/sh\nexec badplugin "+mode+"\n", 0o755) }
	script("plain", "#!/bin/sh\n", 0o644)
	script("nothing", "", 0o755)
	script("foreign", elfFor(t), 0o755)
	script("noshebang", "print('hello')\n", 0o755)
	script("nointerpreter", "#!/no/such/interpreter\n", 0o755)
	for _, mode := range []string{"rubbish", "exits", "old", "new", "silent", "mute", "deaf", "reserved"} {
		bad(mode, mode)
	}
	bad("alias", "othername")
	pinned := script("pinned", "#!/bin/sh\nexec badplugin pinned\n", 0o755)
	script("slack", "#!/bin/sh\nexec badplugin slack\n", 0o755)
	script("Upper", "#!/bin/sh\n", 0o755)
	var config strings.Builder
	fmt.Fprintf(&config, `server: {listen: 127.0.0.1:0}
store: {path: ./store}
plugins: ./plugins.d
providers:
  pinned: {sha256: %064d}
  gone: {command: [./no/such/file]}
destinations:
  good: {provider: custom, url: %q, format: event}
  s: {provider: slack, url: %q}
`, 7, h.URL, h.URL+"/services/T/B/abcdefgh")
	names := []string{"plain", "nothing", "foreign", "noshebang", "nointerpreter", "rubbish", "exits", "old", "new", "silent", "mute", "deaf", "reserved", "alias", "pinned", "gone"}
	for _, name := range names {
		fmt.Fprintf(&config, "  to-%s: {provider: %[1]s}\n", name)
	}
	writeFile(t, filepath.Join(dir, "relay.yaml"), config.String())
	other := "arm64"
	if runtime.GOARCH == "arm64" {
		other = "amd64"
	}
	file := func(name string) string { return "relay-plugin-" + name + " " }
	wants := []string{
		file("plain") + "is not executable; run chmod +x on it",
		file("nothing") + "is empty; build it again",
		file("foreign") + "is built for linux/" + other + ", and this is " + runtime.GOOS + "/" + runtime.GOARCH,
		file("noshebang") + "is no executable of this system; a script begins with a line such as #!/usr/bin/env node",
		file("nointerpreter") + "does not start: the interpreter or loader that it names does not exist",
		file("rubbish") + `printed \"Welcome to the plugin!\" where its handshake belongs`,
		file("exits") + "ended before its handshake (exit status 3); its last words: cannot find libchat.so",
		file("old") + "speaks version 0 of the plugin protocol, this relay speaks version 1; update the plugin",
		file("new") + "speaks version 2 of the plugin protocol, this relay speaks version 1; update relay",
		file("silent") + "printed no handshake within 10s",
		file("mute") + "does not answer Describe within 5s",
		file("deaf") + "does not describe itself",
		file("reserved") + "cannot be used: the schema of provider reserved: the key timeout is relay's own",
		file("alias") + `calls itself \"othername\", and provider alias was expected`,
		file("pinned") + "has the checksum ",
		"no/such/file does not exist; build it, or mend its path",
		file("slack") + "is not used: slack is a built-in provider; to replace it, set providers.slack.command",
		"relay-plugin-Upper is not used: a provider's name is made of lower case letters",
	}

	p := startRelay(t, dir)
	p.accept(`{"id":"e1","type":"issue.created","title":"Still here"}`)
	p.until("the good destinations have it", func() bool { return len(h.all()) >= 2 })
	for _, want := range wants {
		// Some take their time, and nobody waited for them.
		p.until(fmt.Sprintf("relay says %q", want), func() bool { return strings.Contains(p.log.String(), want) })
	}
	var list struct {
		Destinations []struct{ Name, State, Reason string }
	}
	p.call("GET", "/v1/destinations", "", &list)
	for _, d := range list.Destinations {
		held := strings.HasPrefix(d.Reason, "plugin unavailable") && d.State == "paused"
		if bad := strings.HasPrefix(d.Name, "to-"); held != bad {
			t.Errorf("%s is %s: %s", d.Name, d.State, d.Reason)
		}
	}

	// A mended one is taken up, and what was held goes out.
	sum := strings.Fields(sh(t, dir, "sha256sum "+pinned))[0]
	writeFile(t, filepath.Join(dir, "relay.yaml"), strings.Replace(config.String(), fmt.Sprintf("%064d", 7), `"`+sum+`"`, 1))
	p.plugin("pinned")
	p.stop()

	out, err := exec.Command("sh", "-c", "cd "+dir+" && relay check 2>&1").Output()
	if err == nil || !strings.Contains(string(out), "relay: error: relay.yaml:3:10: plugins: plugin unavailable: ") {
		t.Errorf("relay check says (%v)\n%s", err, out)
	}
}

// elfFor is the beginning of an executable for another architecture.
func elfFor(t *testing.T) string {
	t.Helper()
	machine := uint16(183) // EM_AARCH64
	if runtime.GOARCH == "arm64" {
		machine = 62 // EM_X86_64
	}
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(header[16:], 2) // ET_EXEC
	binary.LittleEndian.PutUint16(header[18:], machine)
	binary.LittleEndian.PutUint32(header[20:], 1)
	binary.LittleEndian.PutUint16(header[52:], 64)
	binary.LittleEndian.PutUint16(header[54:], 56)
	binary.LittleEndian.PutUint16(header[58:], 64)
	return string(header)
}

// The example carries the protocol as it is.
func TestExampleHasTheProtocol(t *testing.T) {
	text, err := os.ReadFile("../../examples/plugin-node/provider.proto")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != pluginpb.Source {
		t.Error("examples/plugin-node/provider.proto differs; copy plugin/pluginpb/provider.proto there")
	}
}

// The transcript of docs/plugins.md is made of the protocol's own messages.
func TestTranscriptIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```json (\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(found) < 9 {
		t.Fatalf("found only %d messages", len(found))
	}
	for _, m := range found {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("relay.plugin.v1." + m[1]))
		if err != nil {
			t.Fatal(err)
		}
		if err := protojson.Unmarshal([]byte(m[2]), kind.New().Interface()); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
	for _, keys := range [][]string{kit.ReservedEntry, kit.ReservedTarget} {
		for _, key := range keys {
			if !strings.Contains(string(text), "`"+key+"`") {
				t.Errorf("it does not say that the key %s is relay's own", key)
			}
		}
	}
}
