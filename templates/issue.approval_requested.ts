// An issue waits for the recipients' approval.
import { t, type Context, type Event } from "relay";
import { eventMessage } from "./lib/event";

export default function (event: Event, ctx: Context) {
  return eventMessage(event, ctx, {
    what: t("issue.approval_requested"),
    direct: "issue.approval_requested.direct",
    actor: t("creator"),
    call: true,
  });
}
