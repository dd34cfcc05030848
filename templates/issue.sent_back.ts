// An approver sent an issue back to the recipients.
import { t, type Context, type Event } from "relay";
import { eventMessage } from "./lib/event";

export default function (event: Event, ctx: Context) {
  return eventMessage(event, ctx, {
    what: t("issue.sent_back"),
    direct: "issue.sent_back.direct",
    actor: t("approver"),
    call: true,
  });
}
