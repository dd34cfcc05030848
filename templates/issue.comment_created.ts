// Somebody commented on an issue.
import { t, type Context, type Event } from "relay";
import { eventMessage } from "./lib/event";

export default function (event: Event, ctx: Context) {
  return eventMessage(event, ctx, { what: t("issue.comment_created"), actor: t("commenter") });
}
