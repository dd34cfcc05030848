// A rollout failed.
import { t, type Context, type Event } from "relay";
import { eventMessage, show } from "./lib/event";

export default function (event: Event, ctx: Context) {
  return eventMessage(event, ctx, {
    what: t("pipeline.failed"),
    fields: [{ name: t("environment"), value: show(event.data?.environment), short: true }],
  });
}
