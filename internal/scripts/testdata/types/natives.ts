// One message of each provider, as a template's author would write it. The
// TypeScript compiler reads this file against templates/relay.d.ts; relay does not.
import {
  message,
  type AdaptiveCard,
  type CloudEvent,
  type Context,
  type DingTalkMessage,
  type DiscordMessage,
  type Event,
  type FeishuMessage,
  type Result,
  type SlackMessage,
  type TeamsMessage,
  type Template,
  type WeComMessage,
} from "relay";

export default function (event: Event, ctx: Context): Result<SlackMessage> {
  if (event.project?.name === "sandbox") return null;
  if (ctx.direct) return message({ title: event.title, fields: [event.actor && { name: "By", value: event.actor.name }] });
  return {
    text: event.title,
    blocks: [
      { type: "header", text: { type: "plain_text", text: event.title } },
      { type: "section", fields: [{ type: "mrkdwn", text: "*Level* " + event.level }] },
      { type: "context", elements: [{ type: "mrkdwn", text: event.source }] },
      { type: "actions", elements: [{ type: "button", text: { type: "plain_text", text: "Open" }, url: event.link }] },
    ],
  };
}

export const discord: Template<DiscordMessage> = (event) => ({
  embeds: [{ title: event.title, color: 0x2eb67d, fields: [{ name: "Issue", value: String(event.issue?.id), inline: true }] }],
});

export const teams: Template<TeamsMessage> = (event) => {
  const card: AdaptiveCard = {
    type: "AdaptiveCard",
    version: "1.4",
    body: [{ type: "TextBlock", text: event.title, wrap: true }, { type: "FactSet", facts: [{ title: "By", value: event.actor?.name ?? "" }] }],
    actions: [{ type: "Action.OpenUrl", title: "Open", url: event.link ?? "https://example.com" }],
  };
  return { type: "message", attachments: [{ contentType: "application/vnd.microsoft.card.adaptive", content: card }] };
};

export const dingtalk: Template<DingTalkMessage> = (event) => ({
  msgtype: "actionCard",
  actionCard: { title: event.title, text: event.description ?? "", singleTitle: "Open", singleURL: event.link },
});

export const feishu: Template<FeishuMessage> = async (event) => ({
  schema: "2.0",
  header: { title: { tag: "plain_text", content: event.title }, template: "orange" },
  body: { elements: [{ tag: "markdown", content: event.description }] },
});

export const wecom: Template<WeComMessage> = (event) => ({
  msgtype: "template_card",
  template_card: { card_type: "text_notice", main_title: { title: event.title }, card_action: { type: 1, url: event.link } },
});

export const custom: Template<CloudEvent> = (event) => ({ specversion: "1.0", id: String(event.id), source: "/relay", type: event.type });

// @ts-expect-error: an embed is nothing for Slack's blocks.
export const mistaken: Template<SlackMessage> = () => ({ blocks: [{ type: "embed", title: "x" }] });

// @ts-expect-error: there is no key titel.
export const misspelt = () => message({ titel: "x" });
