package app

import (
	"encoding/json"
	"errors"

	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/config"
)

// Checked is a configuration that Check has read.
type Checked struct {
	cfg       *config.Config
	templates string // their revision
}

// Question asks a running relay what would change in it, without showing it the
// configuration.
func (c *Checked) Question(salt []byte) ([]byte, error) {
	return json.Marshal(api.Comparison{Salt: salt, Parts: c.cfg.Digests(salt), Templates: c.templates})
}

// Refused adds to the faults of the configuration what of the changes a reload
// would refuse, with its place; nil: there is neither.
func (c *Checked) Refused(err error, keys []string) error {
	refused := c.cfg.RestartProblems(keys)
	if len(refused) == 0 {
		return err
	}
	var faults config.Problems
	errors.As(err, &faults)
	return faults.With(c.cfg.File, refused...)
}

// compare answers POST /v1/config/diff.
func (a *App) compare(q api.Comparison) any {
	now := a.current.Load()
	running := now.cfg.Digests(q.Salt)
	changes := config.Compare(running, q.Parts)
	if q.Templates != "" && q.Templates != now.templates.Revision {
		found := false
		for i := range changes {
			found = found || changes[i].Part == "templates"
		}
		if !found {
			changes = append(changes, config.Change{Action: config.ActionChange, Part: "templates", Keys: []string{}})
		}
	}
	return struct {
		Revision     string          `json:"revision"` // that runs
		Changes      []config.Change `json:"changes"`
		Restart      []string        `json:"restart"` // keys that would make a reload refuse the file
		RemovedGrace string          `json:"removed_grace"`
	}{now.cfg.Revision, changes, config.Restart(running, q.Parts), config.FormatDuration(now.cfg.Store.RemovedGrace)}
}
