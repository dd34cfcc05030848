package app

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/relay-sidecar/relay"
)

// hide makes the masker know the secrets of a configuration. Of a URL that is
// one, it knows also the parts that look like credentials, since a vendor may
// repeat just those; ordinary words in it stay readable.
func (a *App) hide(secrets []string) {
	var all []string
	for _, secret := range secrets {
		u, err := url.Parse(secret)
		isURL := err == nil && u.Host != ""
		if isURL && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.User == nil {
			continue // a host alone shows wherever something goes
		}
		all = append(all, secret)
		if !isURL {
			continue
		}
		segments := strings.Split(u.EscapedPath(), "/")
		beside := slices.ContainsFunc(segments, token)
		for _, segment := range segments {
			plain, err := url.PathUnescape(segment)
			if err == nil && credential(plain) && !(beside && number(plain)) {
				all = append(all, segment, plain)
			}
		}
		for _, values := range u.Query() {
			all = append(all, slices.DeleteFunc(values, func(value string) bool { return !credential(value) })...)
		}
		if password, ok := u.User.Password(); ok {
			all = append(all, password)
		}
	}
	a.masker.Add(all...)
}

// credential tells whether a part of a secret URL is taken for one of its own.
func credential(part string) bool {
	const long = 16 // although it has no digit
	return len(part) >= long || strings.ContainsFunc(part, unicode.IsDigit)
}

// token tells whether a part of a secret URL is so long that it alone is the
// secret: Discord's has 68 characters. A number beside it is an id, which other
// texts may hold as well.
func token(part string) bool {
	const surely = 40
	return len(part) >= surely && strings.ContainsFunc(part, unicode.IsDigit) && !number(part)
}

func number(part string) bool { return strings.Trim(part, "0123456789") == "" }

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
		e := *r.TemplateError // that of a quarantined template is shared
		e.Message, e.Frame, e.Hint = mask(e.Message), mask(e.Frame), mask(e.Hint)
		r.TemplateError = &e
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
