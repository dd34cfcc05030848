package app

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

const (
	// maxTemplateFaults bounds how many failing templates are remembered, the
	// ones that failed last.
	maxTemplateFaults = 100
	// faultKept is how long a template that fails no more is called failing: it
	// may do so only for some events.
	faultKept = time.Hour
	// maxDeaths is how often a plugin may die over the only delivery that it
	// holds before that delivery's template is blamed. It is one less than what
	// makes the delivery itself be given up.
	maxDeaths = 2
)

// templateFaults remembers what is wrong with templates that run, by revision:
// a changed template is another one. What is quarantined is not run again.
type templateFaults struct {
	logger *slog.Logger
	mask   func(string) string

	mu  sync.Mutex // guards all
	all map[string]*templateFault
}

type templateFault struct {
	problem     relay.Problem
	quarantined *relay.TemplateError
	deaths      int
	last        time.Time
	count       int
}

func newTemplateFaults(logger *slog.Logger, mask func(string) string) *templateFaults {
	return &templateFaults{logger: logger, mask: mask, all: map[string]*templateFault{}}
}

// quarantined is why a template is not to be run, or nil.
func (f *templateFaults) quarantined(p *relay.Program) *relay.TemplateError {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.all[p.Revision]; one != nil {
		return one.quarantined
	}
	return nil
}

// watch readies a delivery for its way to a plugin: what its report says of the
// template is explained for the log and, unless it is only a trial, remembered.
func (f *templateFaults) watch(p *relay.Program, d *pluginpb.Delivery, trial bool) func(done func(relay.Report)) func(relay.Report) {
	quarantined := f.quarantined(p)
	d.Quarantined = plugin.EncodeTemplateError(quarantined)
	return func(done func(relay.Report)) func(relay.Report) {
		return func(r relay.Report) {
			f.judge(p, d, quarantined, &r, trial)
			done(r)
		}
	}
}

// judge reads what a report says of the delivery's template.
func (f *templateFaults) judge(p *relay.Program, d *pluginpb.Delivery, quarantined *relay.TemplateError, r *relay.Report, trial bool) {
	switch {
	case r.TemplateError == nil && !r.Lost:
	case quarantined != nil && r.TemplateError != nil:
		r.TemplateError = quarantined
	case r.TemplateError != nil:
		scripts.Explain(p, r.TemplateError, d.Event)
		r.TemplateError.Frame = f.mask(r.TemplateError.Frame)
		if !trial {
			f.failed(p, r.TemplateError, time.Now())
		}
	case trial:
	case r.Alone && d.Template != d.Fallback:
		f.died(p, time.Now())
	}
}

// broken readies a delivery whose destination names a template that there is not.
func broken(e *relay.TemplateError, d *pluginpb.Delivery) func(done func(relay.Report)) func(relay.Report) {
	d.Template, d.Quarantined = "", plugin.EncodeTemplateError(e)
	return func(done func(relay.Report)) func(relay.Report) {
		return func(r relay.Report) {
			if r.TemplateError != nil {
				r.TemplateError = e
			}
			done(r)
		}
	}
}

// failed notes a fault, and logs it where it is a new one.
func (f *templateFaults) failed(p *relay.Program, e *relay.TemplateError, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.fault(p, now)
	problem := relay.Problem{File: e.File, Line: e.Line, Column: e.Column, Message: e.Message, Frame: e.Frame, Hint: e.Hint}
	if source, ok := p.Sources[e.File]; ok {
		problem.File = source.Path
	}
	one.count++
	if one.problem == problem || one.quarantined != nil {
		return
	}
	one.problem = problem
	if e.Fatal {
		f.quarantine(one, *e)
		return
	}
	f.logger.Error("template failed", "template", p.Name, "revision", p.Revision, "problem", problem.Error(), "hint", e.Hint)
}

// died notes that a plugin ended over a template's only delivery.
func (f *templateFaults) died(p *relay.Program, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.fault(p, now)
	if one.deaths++; one.deaths < maxDeaths || one.quarantined != nil {
		return
	}
	e := relay.TemplateError{File: p.Name, Message: fmt.Sprintf("the plugin's process ended %d times while it worked on nothing but this template's message", one.deaths)}
	one.problem = relay.Problem{File: p.Name, Message: e.Message}
	if source, ok := p.Sources[p.Name]; ok {
		one.problem.File = source.Path
	}
	f.quarantine(one, e)
}

// quarantine is called with mu held.
func (f *templateFaults) quarantine(one *templateFault, e relay.TemplateError) {
	e.Message, e.Fatal = e.Message+" (quarantined: it is not run again until it changes)", false
	one.quarantined, one.problem.Message = &e, e.Message
	f.logger.Error("template is quarantined until it changes", "problem", one.problem.Error())
}

// fault is called with mu held.
func (f *templateFaults) fault(p *relay.Program, now time.Time) *templateFault {
	one := f.all[p.Revision]
	if one == nil {
		if len(f.all) >= maxTemplateFaults {
			f.forgetOldest()
		}
		one = &templateFault{}
		f.all[p.Revision] = one
	}
	one.last = now
	return one
}

// forgetOldest makes room. What is quarantined stays as long as others do.
func (f *templateFaults) forgetOldest() {
	var oldest string
	for revision, one := range f.all {
		other := f.all[oldest]
		if other == nil || (one.quarantined == nil) != (other.quarantined == nil) && one.quarantined == nil ||
			(one.quarantined == nil) == (other.quarantined == nil) && one.last.Before(other.last) {
			oldest = revision
		}
	}
	delete(f.all, oldest)
}

// keep forgets templates that are not in the set any more.
func (f *templateFaults) keep(set *scripts.Set) {
	revisions := map[string]bool{}
	for _, p := range set.Programs() {
		revisions[p.Revision] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for revision := range f.all {
		if !revisions[revision] {
			delete(f.all, revision)
		}
	}
}

// problems lists what fails at the moment, by place.
func (f *templateFaults) problems(now time.Time) []relay.Problem {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []relay.Problem
	for _, one := range f.all {
		p := one.problem
		switch {
		case one.quarantined != nil:
		case p.Message == "" || now.Sub(one.last) > faultKept:
			continue
		default:
			p.Message += fmt.Sprintf(" (so far %d of its messages were affected, the last at %s)", one.count, one.last.UTC().Format(time.RFC3339))
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b relay.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Message, b.Message))
	})
	return all
}
