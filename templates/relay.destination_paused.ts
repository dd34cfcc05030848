// Something has been held for longer than alerts.after.
import { formatTime, t, type Context, type Event } from "relay";
import { eventMessage, exactly, show } from "./lib/event";

export default function (event: Event, ctx: Context) {
  const data = event.data ?? {};
  return eventMessage(event, ctx, {
    what: exactly("relay.destination_paused", data.kind),
    text: exactly("relay.destination_paused.text", data.kind),
    fields: [
      { name: t("reason"), value: show(data.reason) },
      { name: t("since"), value: data.since && formatTime(data.since), short: true },
      { name: t("part"), value: data.part && exactly("part", data.part), short: true },
    ],
  });
}
