// Somebody changed an issue's title or text.
import { t, type Context, type Event } from "relay";
import { eventMessage } from "./lib/event";

export default function (event: Event, ctx: Context) {
  return eventMessage(event, ctx, { what: t("issue.updated") });
}
