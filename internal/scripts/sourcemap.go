package scripts

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
)

// joinSourceMap is a program with its source map inline. The names of sources
// become paths below the templates directory; what this package added itself
// keeps no name, so that a place in it is never shown.
func joinSourceMap(outputs []api.OutputFile) ([]byte, error) {
	var code, rawMap []byte
	for _, o := range outputs {
		if strings.HasSuffix(o.Path, ".map") {
			rawMap = o.Contents
		} else {
			code = o.Contents
		}
	}
	if code == nil || rawMap == nil {
		return nil, errors.New("the compiler gave no program")
	}
	var sourceMap map[string]json.RawMessage
	if err := json.Unmarshal(rawMap, &sourceMap); err != nil {
		return nil, fmt.Errorf("read the source map: %w", err)
	}
	var sources []string
	if err := json.Unmarshal(sourceMap["sources"], &sources); err != nil {
		return nil, fmt.Errorf("read the source map: %w", err)
	}
	for i, s := range sources {
		name, ours := strings.CutPrefix(s, filesSpace+":")
		if !ours {
			name = ""
		}
		sources[i] = (&url.URL{Path: name}).EscapedPath()
	}
	renamed, err := json.Marshal(sources)
	if err != nil {
		return nil, fmt.Errorf("write the source map: %w", err)
	}
	sourceMap["sources"] = renamed
	whole, err := json.Marshal(sourceMap)
	if err != nil {
		return nil, fmt.Errorf("write the source map: %w", err)
	}
	code = append(slices.Clip(code), "//# sourceMappingURL=data:application/json;base64,"...)
	return append(base64.StdEncoding.AppendEncode(code, whole), '\n'), nil
}

// usedFiles collects the names of files from several goroutines.
type usedFiles struct {
	mu    sync.Mutex // guards names
	names []string
}

func (u *usedFiles) add(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.names = append(u.names, name)
}

func (u *usedFiles) sorted() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	slices.Sort(u.names)
	return slices.Compact(u.names)
}
