'use strict';
// A plugin of relay that delivers to __NAME__. relay renders, and send gets the
// message; relay.js is the side that faces relay.

const { serve, post, byStatus, named, cut } = require('./relay.js');

const MAX_TEXT = 4000; // the longest text that the vendor takes

serve({
  name: '__NAME__',
  version: '0.1.0',
  // The JSON Schema of a destination's keys; writeOnly marks a secret.
  destinationSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['url'],
    properties: {
      url: { type: 'string', format: 'relay-url', writeOnly: true, description: "The webhook's URL." },
    },
  },
  limits: { rate: '1/s', concurrency: 1 }, // what the vendor documents

  // What is wrong with settings that fit the schema: [{ pointer: '/url', message: '…' }].
  check(settings) {
    return [];
  },

  // Makes the one attempt, and says what the vendor's answer means.
  async send({ settings, message, signal }) {
    const answer = await post(settings.target.url, JSON.stringify(compose(message)), { signal });
    return byStatus(answer);
  },
});

// compose says a message in the vendor's words: a string is plain text, an object
// with "$relay": 1 is relay's portable message, any other is the vendor's own.
function compose(message) {
  if (typeof message === 'string') return { text: cut(message, MAX_TEXT) };
  if (message.$relay !== 1) return message;
  return { text: words(message) };
}

// words says a portable message in plain text, so that nothing of it is lost. A
// vendor with buttons and fields of its own gets better ones here.
function words(m) {
  const say = (text) => named(text, m.mentions);
  const actions = m.actions || [];
  let links = actions.some((a) => a.url === m.link) ? '' : line(m.link);
  for (const a of actions) {
    const more = line(cut(say(a.text), 100) + ': ' + a.url);
    if (links.length + more.length <= MAX_TEXT / 2) links += more;
  }
  const fields = (m.fields || []).map((f) => say(f.name) + ': ' + say(f.value));
  const text = [say(m.title), say(m.text), ...fields, say(m.footer)].filter(Boolean).join('\n');
  return cut(text, MAX_TEXT - links.length) + links;
}

function line(text) {
  return text ? '\n' + text : '';
}
