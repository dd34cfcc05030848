package scripts_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// connect serves a Server on a socket and speaks to it.
func connect(t *testing.T) *scripts.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pluginpb.RegisterScriptsServer(server, &scripts.Server{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	connection, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		connection.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return scripts.NewClient(pluginpb.NewScriptsClient(connection))
}

func TestOverTheWire(t *testing.T) {
	client := connect(t)
	ctx := context.Background()
	files := map[string][]byte{
		"sources/a.ts": []byte("export default (request) => request.body ? { type: 'x', title: request.body } : { skip: 'empty' };\nexport const answer = () => null;\n"),
		"b.ts":         []byte("export default ("),
	}
	compiled, err := client.Compile(ctx, files, []string{"sources/a.ts", "b.ts"})
	if err != nil {
		t.Fatal(err)
	}
	if len(compiled) != 2 || len(compiled[0].Problems) > 0 || len(compiled[1].Problems) != 1 || compiled[1].Problems[0].Line != 1 || compiled[0].Inputs[0] != "sources/a.ts" {
		t.Fatalf("compiled %+v", compiled)
	}
	program := &relay.Program{Name: "sources/a.ts", Revision: "r1", Code: compiled[0].Code}
	for range 2 { // the second time without the code
		events, reason, err := client.Convert(ctx, program, request("hello"), now)
		if err != nil || string(events) != `[{"type":"x","title":"hello"}]` || reason != "" {
			t.Errorf("Convert = %s, %q, %v", events, reason, err)
		}
	}
	if events, reason, err := client.Convert(ctx, program, request(""), now); err != nil || string(events) != "[]" || reason != "empty" {
		t.Errorf("Convert = %s, %q, %v; want the reason", events, reason, err)
	}
	if reply, err := client.Answer(ctx, program, json.RawMessage(`{"status":202}`)); err != nil || reply.Custom {
		t.Errorf("Answer = %+v, %v; want it left to relay", reply, err)
	}

	bad := compileOne(t, "sources/b.ts", map[string]string{"sources/b.ts": "export default (request) => {\n  return request.nope.x;\n}\n"})
	_, _, err = client.Convert(ctx, &relay.Program{Name: "sources/b.ts", Revision: "r2", Code: bad.Code}, request("x"), now)
	var fault *relay.TemplateError
	if !errors.As(err, &fault) || !strings.HasPrefix(fault.Error(), "sources/b.ts:2:23: TypeError") {
		t.Errorf("Convert of a bad script: %v", err)
	}
	_, _, err = client.Convert(ctx, &relay.Program{Name: "sources/c.ts", Revision: "r3", Code: []byte("(")}, request("x"), now)
	if !errors.As(err, &fault) || fault.File != "sources/c.ts" {
		t.Errorf("Convert of code that does not parse: %v", err)
	}
}
