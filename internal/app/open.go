package app

import (
	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// opened is what a provider makes of one destination's settings, and says of them.
type opened struct {
	unknown       bool            // nobody can say now
	channel       bool            // there is a place to send to
	windows       []plugin.Window // its documented limits; empty: the provider's rate
	reaches       bool            // people can be reached
	account       string          // with these credentials
	directWindows []plugin.Window
	prober        plugin.Prober // asks the vendor about the credentials; nil: nobody can

	problems, directProblems []plugin.Problem
}

// open has a provider judge one destination's settings, once.
func (c *catalogue) open(d config.Destination, e config.Entry) opened {
	o, known := c.opened[d.Name]
	switch {
	case !known:
		o = c.judge(d, e)
		c.opened[d.Name] = o
	case o.unknown:
		o = guessed(d, e) // more is known of the destination by now
	}
	return o
}

func (c *catalogue) judge(d config.Destination, e config.Entry) opened {
	description, _ := c.describe(d.Use)
	masker := &relay.Masker{}
	masker.Add(relay.SecretsIn(description.ProviderSchema, e.Settings)...)
	masker.Add(relay.SecretsIn(description.DestinationSchema, d.Settings)...)
	var o opened
	if asked, third := c.third[d.Use]; !third {
		o = c.openHere(d, e, masker)
	} else if asked == nil || !asked.Runs() {
		o = guessed(d, e)
	} else {
		o = c.openThere(d, e)
	}
	for _, list := range [][]plugin.Problem{o.problems, o.directProblems} {
		for i := range list {
			list[i].Message = masker.Mask(list[i].Message)
		}
	}
	return o
}

// noDirect is what is said where a provider cannot reach people.
func noDirect(provider string) []plugin.Problem {
	return []plugin.Problem{{Message: "provider " + provider + " has no direct messages; all events go to the channel", Warning: true}}
}

// openHere asks a provider that is linked in.
func (c *catalogue) openHere(d config.Destination, e config.Entry, masker *relay.Masker) (o opened) {
	p := c.builtIn[d.Use]
	s := plugin.Settings{
		Destination: d.Name, Entry: e.Name, Provider: e.Settings, Target: d.Settings, Masker: masker, Logger: discardLogger(),
	}
	place, problems := p.Open(s)
	o.channel, o.problems = place != nil, problems
	if paced, ok := place.(plugin.Paced); ok {
		o.windows = paced.Windows()
	}
	reaching, ok := p.(plugin.DirectProvider)
	if !ok {
		o.directProblems = noDirect(d.Use)
		return o
	}
	direct, problems := reaching.OpenDirect(s)
	o.directProblems = problems
	if direct == nil {
		return o
	}
	o.reaches, o.account = true, direct.Account()
	o.prober, _ = direct.(plugin.Prober)
	if paced, ok := direct.(plugin.Paced); ok {
		o.directWindows = paced.Windows()
	}
	return o
}

// openThere asks a third party's process.
func (c *catalogue) openThere(d config.Destination, e config.Entry) (o opened) {
	asked := c.third[d.Use]
	ctx, cancel := bounded(c.ctx, c.patience)
	defer cancel()
	if c.late[d.Use] {
		cancel()
	}
	resp, err := asked.Check(ctx, []*pluginpb.Settings{{
		Revision: "check", Destination: d.Name, Entry: e.Name, Provider: e.Settings, Target: d.Settings,
	}})
	if err != nil {
		c.late[d.Use] = ctx.Err() != nil
		words := heldWords
		if c.strict {
			words = ""
		}
		o = guessed(d, e)
		o.problems = []plugin.Problem{{Message: "plugin unavailable: " + err.Error() + words, Warning: !c.strict}}
		return o
	}
	usable := true
	for _, p := range resp.Problems {
		problem := plugin.Problem{Provider: p.Provider, Pointer: p.Pointer, Message: p.Message, Warning: p.Warning, NoChannel: p.NoChannel}
		usable = usable && (p.Warning || p.NoChannel)
		if p.Direct {
			o.directProblems = append(o.directProblems, problem)
		} else {
			o.problems = append(o.problems, problem)
		}
	}
	if !asked.Reaches {
		o.directProblems = noDirect(d.Use)
	}
	if len(resp.Opened) > 0 {
		said := resp.Opened[0]
		o.channel, o.windows = said.Channel, plugin.DecodeWindows(said.Windows)
		o.reaches, o.account, o.directWindows = said.Direct && asked.Reaches, said.Account, plugin.DecodeWindows(said.DirectWindows)
	} else if usable {
		o.channel, o.reaches = true, asked.Reaches
	}
	if o.reaches && o.account == "" {
		o.account = string(e.Settings) // the credentials of an entry are an account
	}
	return o
}

// guessed is what is taken for true until the plugin can say what is.
func guessed(d config.Destination, e config.Entry) opened {
	return opened{unknown: true, channel: true, reaches: d.Direct != nil, account: string(e.Settings)}
}
