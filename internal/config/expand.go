package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand gives a scalar its text: what is written, with the references in it
// replaced by what they stand for. `$${` stands for a literal `${`.
func (l *loader) expand(n *node, y *yaml.Node) {
	plain := y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0
	n.text, n.plain = y.Value, plain
	n.null = y.ShortTag() == "!!null"
	if !strings.Contains(y.Value, "${") {
		return
	}
	var out strings.Builder
	var written []string
	rest := y.Value
	for rest != "" {
		i := strings.Index(rest, "${")
		if i < 0 {
			out.WriteString(rest)
			break
		}
		if i > 0 && rest[i-1] == '$' {
			out.WriteString(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		out.WriteString(rest[:i])
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			l.fault(n, "a ${ without its }; write $${ for a literal ${")
			return
		}
		reference := rest[i : i+end+1]
		shown, value, err := l.resolve(reference[2 : len(reference)-1])
		if err != nil {
			l.fault(n, "%s", err)
			return
		}
		written = append(written, shown)
		n.parts = append(n.parts, value)
		out.WriteString(value)
		rest = rest[i+end+1:]
	}
	n.text = out.String()
	n.outside = strings.Join(written, " and ")
	n.plain = plain && len(written) == 1 && strings.HasPrefix(y.Value, "${") && strings.IndexByte(y.Value, '}') == len(y.Value)-1
	if l.text += len(n.text); l.text > maxText {
		l.spent = true
		l.fault(n, "the values from outside hold more than %d MiB", maxText>>20)
	}
}

// resolve is what a reference stands for, and the reference as it may be shown:
// without its default, which can be a secret.
func (l *loader) resolve(reference string) (shown, value string, err error) {
	if path, ok := strings.CutPrefix(reference, "file:"); ok {
		shown = "${file:" + path + "}"
		value, err = l.fromFile(path)
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", shown, err)
		}
		return shown, value, nil
	}
	name, fallback, hasDefault := strings.Cut(reference, ":-")
	if !variable.MatchString(name) || strings.Contains(fallback, "${") {
		return "", "", fmt.Errorf("this is no reference; write ${NAME}, ${NAME:-default} or ${file:/path}, and $${ for a literal ${")
	}
	shown = "${" + name + "}"
	value, set := l.o.Env(name)
	l.env[name] = fmt.Sprint(set, " ", value)
	switch {
	case value == "" && hasDefault:
		return shown, fallback, nil
	case !set:
		return "", "", fmt.Errorf("the environment variable %s is not set; set it, or give a default with ${%s:-…}", name, name)
	case !utf8.ValidString(value):
		return "", "", fmt.Errorf("the environment variable %s is not UTF-8", name)
	}
	return shown, value, nil
}

// fromFile is the content of a file without one newline at its end.
func (l *loader) fromFile(path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("name the file, such as ${file:/run/secrets/token}")
	}
	data, err := l.file(l.absolute(path))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxReference:
		return "", fmt.Errorf("the file is larger than 64 KiB")
	case !utf8.Valid(data):
		return "", fmt.Errorf("the file is not UTF-8 text")
	}
	text := strings.TrimSuffix(string(data), "\n")
	return strings.TrimSuffix(text, "\r"), nil
}
