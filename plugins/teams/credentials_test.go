package teams

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugins/teams/teamstest"
)

func TestOpenDirect(t *testing.T) {
	const (
		tenant = `"tenant_id":"contoso.onmicrosoft.com"`
		client = `"client_id":"` + teamstest.Client + `"`
		secret = `"client_secret":"abc8Q~value-of-the-secret"`
		all    = tenant + "," + client + "," + secret
	)
	flow := `{"direct_message_url":` + fmt.Sprintf("%q", hook) + `}`
	for _, c := range []struct {
		provider, target string
		kind             string   // bot, flow or none
		want             []string // problems: warning, pointer, and how the message begins
	}{
		{"", "", "none", []string{"warning /tenant_id: there are no credentials for direct messages; set tenant_id, client_id and client_secret of an Entra app with a bot, " +
			"which has the application permissions User.Read.All, AppCatalog.Read.All and TeamsAppInstallation.ReadWriteSelfForUser.All"}},
		{`{"app_id":"` + teamstest.Client + `"}`, `{}`, "none", []string{"warning /tenant_id: there are no"}},
		{`{` + all + `}`, `{}`, "bot", nil},
		{`{` + all + `,"app_id":"` + annID + `","login_base":"https://login.microsoftonline.us/","graph_base":"http://127.0.0.1:9/v1.0","service_url":"https://10.0.0.1/x"}`, `{}`, "bot", nil},
		{`{` + all + `}`, flow, "flow", nil},
		{`{}`, flow, "flow", nil},
		{`{}`, `{"direct_message_url":"http://127.0.0.1:9/x"}`, "flow", nil},
		{`{}`, `{"direct_message_url":"https://flows.example.com/x"}`, "flow", []string{"warning /direct_message_url: flows.example.com is not a host"}},
		{`{}`, `{"direct_message_url":"https://contoso.webhook.office.com/x"}`, "none", []string{"/direct_message_url: contoso.webhook.office.com is an Office 365 connector"}},
		{`{` + tenant + `}`, `{}`, "none", []string{"/client_id: client_id is missing; direct messages by bot need it", "/client_secret: client_secret is missing"}},
		{`{` + client + `,` + secret + `}`, `{}`, "none", []string{"/tenant_id: tenant_id is missing"}},
		{`{` + secret + `}`, flow, "none", []string{"/tenant_id: tenant_id is missing", "/client_id: client_id is missing"}},
		{`{"tenant_id":"common",` + client + `,` + secret + `}`, `{}`, "none", []string{"/tenant_id: not the directory (tenant) ID"}},
		{`{` + tenant + `,"client_id":"S3CRET~pasted-into-the-wrong-key",` + secret + `}`, `{}`, "none", []string{"/client_id: not the application (client) ID"}},
		{`{` + tenant + `,` + client + `,"client_secret":"` + annID + `"}`, `{}`, "none", []string{"/client_secret: not the Value of a client secret of the Entra app, not its ID"}},
		{`{` + tenant + `,` + client + `,"client_secret":"S3CRET with space"}`, `{}`, "none", []string{"/client_secret: not the Value"}},
		{`{` + all + `,"app_id":"my-app"}`, `{}`, "none", []string{"/app_id: not the id in the manifest"}},
		{`{` + all + `,"login_base":"http://login.example.com","graph_base":"https://graph.microsoft.com/v1.0?x=1","service_url":"smba.trafficmanager.net"}`, `{}`, "none",
			[]string{"/login_base: http is taken to a loopback address only", "/graph_base: a base URL has a host and a path only", "/service_url: not a URL"}},
		{`{` + all + `,"login_base":"https://u:S3CRET@login.example.com"}`, `{}`, "none", []string{"/login_base: a base URL has a host and a path only"}},
	} {
		d, problems := New().OpenDirect(plugin.Settings{Provider: json.RawMessage(c.provider), Target: json.RawMessage(c.target), Masker: &relay.Masker{}})
		kind := map[string]string{"<nil>": "none", "*teams.bot": "bot", "*teams.directFlow": "flow"}[fmt.Sprintf("%T", d)]
		var got []string
		for _, p := range problems {
			text := map[bool]string{true: "warning "}[p.Warning] + p.Pointer + ": " + p.Message
			if p.Provider == strings.HasPrefix(p.Pointer, "/direct_message_url") || strings.Contains(text, "S3CRET") || p.NoChannel {
				t.Errorf("%s %s: %+v", c.provider, c.target, p)
			}
			got = append(got, text)
		}
		if kind != c.kind || len(got) != len(c.want) || !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s %s: got %s, %q; want %s, %q", c.provider, c.target, kind, got, c.kind, c.want)
		}
	}
}

func TestScopes(t *testing.T) {
	for _, c := range []struct{ graph, service, graphScope, botScope, itself string }{
		{"", "", "https://graph.microsoft.com/.default", "https://api.botframework.com/.default", "https://graph.microsoft.com/v1.0"},
		{"http://127.0.0.1:9/v1.0", "http://localhost:9", "https://graph.microsoft.com/.default", "https://api.botframework.com/.default", "https://graph.microsoft.com/v1.0"},
		{"https://graph.microsoft.com/v1.0/", "https://smba.infra.gcc.teams.microsoft.com/gcc", "https://graph.microsoft.com/.default", "https://api.botframework.com/.default", "https://graph.microsoft.com/v1.0"},
		{"https://graph.microsoft.us/v1.0", "https://smba.infra.gov.teams.microsoft.us/gcch", "https://graph.microsoft.us/.default", "https://api.botframework.us/.default", "https://graph.microsoft.us/v1.0"},
		{"https://microsoftgraph.chinacloudapi.cn/v1.0", "", "https://microsoftgraph.chinacloudapi.cn/.default", "https://api.botframework.com/.default", "https://microsoftgraph.chinacloudapi.cn/v1.0"},
	} {
		s := credentials{TenantID: teamstest.Tenant, ClientID: teamstest.Client, ClientSecret: teamstest.Secret, GraphBase: c.graph, ServiceURL: c.service}
		if problems := s.check(); len(problems) > 0 {
			t.Errorf("%+v", problems)
		}
		if s.graphScope() != c.graphScope || s.botScope() != c.botScope || s.graphItself() != c.itself || s.AppID != teamstest.Client {
			t.Errorf("%s, %s: got %s, %s, %s", c.graph, c.service, s.graphScope(), s.botScope(), s.graphItself())
		}
	}
}

// TestSchemas: the stand-in's settings are good ones, and every secret in them
// is known to be one.
func TestSchemas(t *testing.T) {
	d := New().Describe()
	v := teamstest.New(t)
	target, _ := json.Marshal(settings{URL: v.FlowURL("channel"), DirectMessageURL: v.FlowURL("direct")})
	for name, c := range map[string]struct {
		schema, value json.RawMessage
		secrets       []string
	}{
		"provider":    {d.ProviderSchema, yamlJSON(t, v.Entry()), []string{teamstest.Secret}},
		"destination": {d.DestinationSchema, target, []string{v.FlowURL("channel"), v.FlowURL("direct")}},
		"nothing":     {d.DestinationSchema, json.RawMessage(`{}`), nil},
	} {
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.schema))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource("x.json", schema); err != nil {
			t.Fatal(err)
		}
		compiled, err := compiler.Compile("x.json")
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.value))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := relay.SecretsIn(c.schema, c.value)
		slices.Sort(got)
		if !slices.Equal(got, c.secrets) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
