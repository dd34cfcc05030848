package app

import (
	"encoding/json"

	"github.com/relay-sidecar/relay"
)

// masked wraps done: a plugin masks the secrets of the destination that a
// delivery goes to, and knows no others. A vendor, an event or a template may
// repeat those, too.
func (a *App) masked(done func(relay.Report)) func(relay.Report) {
	return func(r relay.Report) {
		a.maskReport(&r)
		done(r)
	}
}

func (a *App) maskReport(r *relay.Report) {
	mask := a.masker.Mask
	r.Error, r.Receipt = mask(r.Error), mask(r.Receipt)
	if len(r.Message) > 0 {
		r.Message = json.RawMessage(mask(string(r.Message)))
	}
	if r.TemplateError != nil {
		r.TemplateError.Message = mask(r.TemplateError.Message)
	}
	a.maskCall(r.Request, r.Response)
	for i := range r.Steps {
		a.maskCall(r.Steps[i].Request, r.Steps[i].Response)
		r.Steps[i].Error = mask(r.Steps[i].Error)
	}
}

func (a *App) maskCall(request *relay.Request, response *relay.Response) {
	if request != nil {
		request.URL, request.Body = a.masker.Mask(request.URL), a.masker.Mask(request.Body)
		a.maskHeaders(request.Headers)
	}
	if response != nil {
		response.Body = a.masker.Mask(response.Body)
		a.maskHeaders(response.Headers)
	}
}

func (a *App) maskHeaders(headers map[string]string) {
	for name, value := range headers {
		if hidden := a.masker.Mask(value); hidden != value {
			headers[name] = hidden
		}
	}
}
