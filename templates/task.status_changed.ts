// A task of a rollout started, ended or failed.
import { t, type Context, type Event } from "relay";
import { eventMessage, exactly, show, status } from "./lib/event";

export default function (event: Event, ctx: Context) {
  const task = event.data?.task;
  const state = task?.status ?? event.data?.status;
  return eventMessage(event, ctx, {
    what: exactly("task.status_changed", state),
    fields: [
      { name: t("task"), value: show(task), short: true },
      { name: t("status"), value: status(state ?? event.issue?.status), short: true },
    ],
  });
}
