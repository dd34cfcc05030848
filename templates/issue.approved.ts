// An issue got its approval; the recipients are those who wait for it.
import { t, type Context, type Event } from "relay";
import { eventMessage } from "./lib/event";

export default function (event: Event, ctx: Context) {
  return eventMessage(event, ctx, {
    what: t("issue.approved"),
    direct: "issue.approved.direct",
    actor: t("approver"),
    call: true,
  });
}
