package plugintest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Golden compares JSON, indented, with the file testdata/<name>.json, which
// update writes anew. The name may hold slashes.
//
//	var update = flag.Bool("update", false, "write the golden files anew")
//
//	plugintest.Golden(t, "title", request.Body, *update)
func Golden(t testing.TB, name string, got []byte, update bool) {
	t.Helper()
	var indented bytes.Buffer
	if err := json.Indent(&indented, got, "", "  "); err != nil {
		t.Fatalf("%s: %v: %s", name, err, got)
	}
	indented.WriteByte('\n')
	file := filepath.Join("testdata", filepath.FromSlash(name)+".json")
	if update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, indented.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if indented.String() != string(want) {
		t.Errorf("%s: got:\n%s\nwant:\n%s", file, indented.String(), want)
	}
}
