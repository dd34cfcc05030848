// An issue was resolved, canceled or opened again.
import { t, type Context, type Event } from "relay";
import { eventMessage, exactly, status } from "./lib/event";

export default function (event: Event, ctx: Context) {
  return eventMessage(event, ctx, {
    what: exactly("issue.status_changed", event.issue?.status),
    fields: [{ name: t("status"), value: status(event.issue?.status), short: true }],
  });
}
