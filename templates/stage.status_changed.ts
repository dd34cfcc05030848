// A stage of a rollout ended.
import { t, type Context, type Event } from "relay";
import { eventMessage, show, status } from "./lib/event";

export default function (event: Event, ctx: Context) {
  const stage = event.data?.stage;
  return eventMessage(event, ctx, {
    what: t("stage.status_changed"),
    fields: [
      { name: t("stage"), value: show(stage), short: true },
      { name: t("status"), value: status(stage?.status ?? event.data?.status ?? event.issue?.status), short: true },
    ],
  });
}
