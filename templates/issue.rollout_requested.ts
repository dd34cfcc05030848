// An approved issue waits for the recipients to roll it out.
import { t, type Context, type Event } from "relay";
import { eventMessage } from "./lib/event";

export default function (event: Event, ctx: Context) {
  return eventMessage(event, ctx, {
    what: t("issue.rollout_requested"),
    direct: "issue.rollout_requested.direct",
    call: true,
  });
}
