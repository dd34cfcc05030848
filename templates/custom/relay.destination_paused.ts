// The bytebase format carries no data, in which this event has all that it says.
import { message, t, type Event } from "relay";
import { exactly, show } from "../lib/event";

export default function (event: Event) {
  const data = event.data ?? {};
  const reason = show(data.reason);
  const parts = [
    reason && `${exactly("relay.destination_paused", data.kind)}: ${reason}`,
    exactly("relay.destination_paused.text", data.kind),
  ];
  return message({ title: event.title, text: event.description || parts.filter(Boolean).join("\n\n"), level: event.level, link: event.link });
}
