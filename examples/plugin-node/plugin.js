'use strict';
// A plugin of relay for Mattermost's incoming webhooks. It has no JavaScript
// engine for templates: relay renders, and send gets the message.

const { serve, post, byStatus, named, cut } = require('./relay.js');

const MAX_TEXT = 16383; // characters of a post
const COLORS = { info: '#2389d7', success: '#3db887', warn: '#ffbc1f', error: '#d24b4e' };

serve({
  name: 'mattermost',
  version: '1.0.0',
  destinationSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['url'],
    properties: {
      url: { type: 'string', format: 'relay-url', writeOnly: true, description: 'The URL of an incoming webhook.' },
      channel: { type: 'string', minLength: 1, description: 'Another channel than that of the webhook, such as town-square or @ann.' },
      username: { type: 'string', minLength: 1, description: 'The name that posts have, where the server lets webhooks choose it.' },
    },
  },
  limits: { rate: '5/s', concurrency: 1 }, // a server takes 10 requests a second from one address unless told otherwise

  check({ target }) {
    if (target.url && !/\/hooks\/[a-z0-9-]+$/.test(new URL(target.url).pathname)) {
      return [{ pointer: '/url', message: 'this is no incoming webhook of Mattermost; its path is /hooks/ and the key' }];
    }
    return [];
  },

  async send({ settings, message, signal }) {
    const { url, channel, username } = settings.target;
    const body = JSON.stringify({ ...compose(message), channel, username });
    const answer = await post(url, body, { signal });
    return { ...byStatus(answer), request: { method: 'POST', url: '<secret>', body: Buffer.from(cut(body, 16000)) } };
  },
});

// compose says a message in Mattermost's words: a string is plain text, an
// object with "$relay": 1 is relay's portable message, any other is Mattermost's
// own, which a template wrote.
function compose(message) {
  if (typeof message === 'string') return { text: cut(escape(message), MAX_TEXT) };
  if (message.$relay !== 1) return message;
  const m = message;
  const say = (text) => named(text, m.mentions);
  return {
    text: '',
    attachments: [{
      fallback: cut(say(m.title), 200),
      color: COLORS[m.level] || COLORS.info,
      title: cut(say(m.title), 1000),
      title_link: m.link,
      text: cut(say(m.text), MAX_TEXT - 2000),
      fields: (m.fields || []).map((f) => ({ short: Boolean(f.short), title: say(f.name), value: cut(say(f.value), 1000) })),
      image_url: m.image && m.image.url,
      footer: cut([...(m.actions || []).map((a) => `${say(a.text)}: ${a.url}`), say(m.footer)].filter(Boolean).join(' · '), 500),
    }],
  };
}

function escape(text) {
  return text.replace(/[\\`*_{}[\]()#+\-.!|~>@]/g, '\\$&');
}
