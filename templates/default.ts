// Any event that has no template of its own.
import { t, type Context, type Event } from "relay";
import { eventMessage } from "./lib/event";

export default function (event: Event, ctx: Context) {
  return eventMessage(event, ctx, { fields: [{ name: t("event"), value: event.type, short: true }] });
}
