package render

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dop251/goja"
)

// zones remembers the time zones that a template's destinations use, since
// loading one reads a file. They come from the settings, so they are few.
type zones struct {
	known sync.Map // name → *time.Location
}

func (z *zones) load(name string) *time.Location {
	if name == "" || name == "Local" {
		return time.Local
	}
	if known, ok := z.known.Load(name); ok {
		return known.(*time.Location)
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		// The settings were checked where they were read; a zone that this
		// machine does not have costs no message.
		location = time.Local
	}
	z.known.Store(name, location)
	return location
}

// timePattern is formatTime's default: unambiguous in every language.
const timePattern = "YYYY-MM-DD HH:mm z"

// helpFormatTime writes a time in the destination's zone and language.
func (s *scope) helpFormatTime(call goja.FunctionCall) goja.Value {
	v := call.Argument(0)
	if missing(v) {
		return s.rt.ToValue("")
	}
	at, ok := instant(v)
	if !ok {
		s.throw("formatTime: %q is no time; it takes RFC 3339 text, milliseconds or a Date", clip(v.String()))
	}
	pattern := timePattern
	if p := call.Argument(1); !missing(p) {
		pattern = p.String()
	}
	chinese := strings.HasPrefix(s.language(), "zh")
	return s.rt.ToValue(formatTime(at.In(s.template.zones.load(s.ctx.TimeZone)), pattern, chinese))
}

// instant reads a Date, milliseconds since 1970, or RFC 3339.
func instant(v goja.Value) (time.Time, bool) {
	if o, ok := v.(*goja.Object); ok {
		at, ok := o.Export().(time.Time)
		return at, ok
	}
	if goja.IsNumber(v) {
		const year9999 = 253402300800000
		ms := v.ToFloat()
		if math.IsNaN(ms) || math.Abs(ms) >= year9999 {
			return time.Time{}, false
		}
		return time.UnixMilli(int64(ms)), true
	}
	at, err := time.Parse(time.RFC3339, v.String())
	return at, err == nil
}

// formatTime replaces the words of a pattern; what stands in [brackets] stays
// as it is, like everything that is no word.
//
//	YYYY 2026   MM 09  M 9  MMM Sep, 9月   DD 05  D 5   ddd Sat, 周六  dddd Saturday, 星期六
//	HH 08  H 8  hh 08  h 8  A AM, 上午     mm 07  ss 09  SSS 012       Z +08:00  z CST
func formatTime(at time.Time, pattern string, chinese bool) string {
	var b strings.Builder
	for i := 0; i < len(pattern); {
		c := pattern[i]
		if c == '[' {
			if end := strings.IndexByte(pattern[i:], ']'); end > 0 {
				b.WriteString(pattern[i+1 : i+end])
				i += end + 1
				continue
			}
		}
		n := 1
		for i+n < len(pattern) && pattern[i+n] == c {
			n++
		}
		word := pattern[i : i+n]
		if text, ok := timeWord(at, word, chinese); ok {
			b.WriteString(text)
		} else {
			b.WriteString(word)
		}
		i += n
	}
	return b.String()
}

func timeWord(at time.Time, word string, chinese bool) (string, bool) {
	layout := ""
	switch word {
	case "YYYY":
		layout = "2006"
	case "MMM":
		if chinese {
			return strconv.Itoa(int(at.Month())) + "月", true
		}
		layout = "Jan"
	case "MM":
		layout = "01"
	case "M":
		layout = "1"
	case "DD":
		layout = "02"
	case "D":
		layout = "2"
	case "dddd":
		if chinese {
			return "星期" + chineseDay(at), true
		}
		layout = "Monday"
	case "ddd":
		if chinese {
			return "周" + chineseDay(at), true
		}
		layout = "Mon"
	case "HH":
		layout = "15"
	case "H":
		return strconv.Itoa(at.Hour()), true
	case "hh":
		layout = "03"
	case "h":
		layout = "3"
	case "A":
		if chinese {
			return map[bool]string{true: "上午", false: "下午"}[at.Hour() < 12], true
		}
		layout = "PM"
	case "mm":
		layout = "04"
	case "ss":
		layout = "05"
	case "SSS":
		return at.Format(".000")[1:], true
	case "Z":
		layout = "-07:00"
	case "z":
		layout = "MST"
	default:
		return "", false
	}
	return at.Format(layout), true
}

func chineseDay(at time.Time) string {
	return [...]string{"日", "一", "二", "三", "四", "五", "六"}[at.Weekday()]
}
