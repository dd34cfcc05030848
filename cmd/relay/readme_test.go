package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/internal/app"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugins"
)

// TestDocumentsAreTrue loads what the documents show: their configurations, their
// templates, and the provider that README.md quotes.
func TestDocumentsAreTrue(t *testing.T) {
	documents, err := filepath.Glob("../../plugins/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, "../../README.md", "../../docs/sources.md")
	if len(documents) < 3 {
		t.Fatalf("found only %v", documents)
	}
	for _, name := range documents {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks(string(text), "yaml") {
			if strings.Contains(block, "provider:") {
				checkConfig(t, name, block)
			}
		}
		for _, block := range blocks(string(text), "ts") {
			for _, p := range scripts.Compile(map[string][]byte{"block.ts": []byte(block)}, []string{"block.ts"})[0].Problems {
				t.Errorf("%s: a template does not compile: %s\n%s", name, p.Error(), block)
			}
		}
	}
	example, err := os.ReadFile("../../plugin/example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := blocks(string(readme), "go")
	if len(quoted) != 1 || !strings.Contains(string(example), quoted[0]) {
		t.Error("README.md quotes a provider that is not the one of plugin/example_test.go")
	}
}

func blocks(text, language string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func checkConfig(t *testing.T, document, block string) {
	t.Helper()
	o := app.ConfigOptions(plugins.All())
	// What the documents leave to the environment, in the form that each vendor gives.
	const standardSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	o.Env = func(name string) (string, bool) {
		for _, v := range []struct{ part, value string }{
			{"SLACK", "https://hooks.slack.com/services/T0001/B0001/abcdefghijklmnop"},
			{"DISCORD", "https://discord.com/api/webhooks/1234567890/abcdefghijklmnopqrstuvwxyz"},
			{"TEAMS", "https://0123456789abcdef.05.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke?api-version=1&sig=aB3-dE6_gH9jKl"},
			{"DINGTALK_SECRET", "SEC0123456789abcdef0123456789abcdef"},
			{"DINGTALK", "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef0123456789abcdef"},
			{"FEISHU_WEBHOOK_SECRET", "abcdefghijklmnop"},
			{"FEISHU", "https://open.feishu.cn/open-apis/bot/v2/hook/0123abcd-0123-4567-89ab-0123456789ab"},
			{"LARK", "https://open.larksuite.com/open-apis/bot/v2/hook/0123abcd-0123-4567-89ab-0123456789ab"},
			{"WECOM", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=01234567-89ab-cdef-0123-456789abcdef"},
			{"SECRET", standardSecret},
		} {
			if strings.Contains(name, v.part) {
				return v.value, true
			}
		}
		return "some-value-of-" + name, true
	}
	o.ReadFile = func(path string) ([]byte, error) {
		if filepath.Base(path) == "block.yaml" {
			return []byte(block), nil
		}
		return []byte(standardSecret), nil
	}
	if _, _, err := config.Load("block.yaml", o); err != nil {
		t.Errorf("%s: a configuration is refused: %v\n%s", document, err, block)
	}
}
