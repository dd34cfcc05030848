// Alerts as Prometheus' Alertmanager groups them, and whoever speaks as it does.
import { type Level, type Request, type SourceEvent, type SourceResult } from "relay";
import { isObject, line, linked, link, list, lower, markdown, payload, text, time, title, typed } from "./source";

/** What differs between those who send alerts. */
export interface Sender {
  /** Where a reader goes to see more of one alert. */
  page(alert: Record<string, any>): string | undefined;
}

// More alerts than this are counted, not shown.
const maxShown = 20;

/** One event for a group of alerts; with the setting split, one for each of them. */
export function alertEvents(request: Request, sender: Sender): SourceResult {
  const body = payload(request);
  const alerts = list(body.alerts).filter(isObject);
  if (alerts.length === 0) return { skip: "there are no alerts in it" };
  if (request.settings.split === true) return alerts.map((a) => event(body, [a], sender));
  return event(body, alerts, sender);
}

function event(body: Record<string, any>, alerts: Record<string, any>[], sender: Sender): SourceEvent {
  const firing = alerts.filter((a) => lower(a.status ?? body.status) !== "resolved");
  const labels = shared(alerts, "labels");
  const annotations = shared(alerts, "annotations");
  const only = alerts.length === 1 ? alerts[0] : undefined;
  const every = [...new Set(alerts.map((a) => text(a.labels?.alertname)).filter(Boolean))];
  const name = every.slice(0, 3).join(", ") + (every.length > 3 ? ", …" : "") || "Alerts";
  const counts = [firing.length && `${firing.length} firing`, firing.length < alerts.length && `${alerts.length - firing.length} resolved`].filter(Boolean).join(", ");
  const summary = text(annotations.summary) || text(only?.annotations?.summary);

  const out: any = {
    type: firing.length > 0 ? "alert.firing" : "alert.resolved",
    level: firing.length > 0 ? severity(firing) : "success",
    title: title(summary ? `${name} (${counts}): ${summary}` : `${name} (${counts})`),
    data: {
      status: firing.length > 0 ? "firing" : "resolved",
      labels,
      annotations,
      receiver: text(body.receiver),
      group_key: text(body.groupKey),
      alerts,
    },
  };
  const shown = alerts.slice(0, maxShown).map((a) => shownAlert(a, body, sender, only !== undefined));
  const left = alerts.length - maxShown + Number(body.truncatedAlerts ?? 0);
  if (left > 0) shown.push(`… and ${left} more`);
  const description = markdown(shown.filter(Boolean).join("\n"));
  if (description) out.description = description;
  const to = (only && sender.page(only)) ?? link(body.externalURL) ?? (alerts[0] && sender.page(alerts[0]));
  if (to) out.link = to;
  const at = time((only ?? alerts[alerts.length - 1])[firing.length > 0 ? "startsAt" : "endsAt"]);
  if (at) out.time = at;
  if (typed(labels.project ?? labels.namespace, "")) out.project = { name: text(labels.project ?? labels.namespace) };
  return out;
}

function shownAlert(a: Record<string, any>, body: Record<string, any>, sender: Sender, alone: boolean): string {
  const notes = isObject(a.annotations) ? a.annotations : {};
  const labels = Object.entries(isObject(a.labels) ? a.labels : {}).filter(([key]) => key !== "alertname");
  const told = labels.map(([key, value]) => `${key}=${text(value)}`).join(" ");
  if (alone) {
    const more = link(notes.runbook_url) && linked("Runbook", notes.runbook_url);
    return [line(notes.description ?? notes.message, 2000), line(told, 500), more].filter(Boolean).join("\n\n");
  }
  const state = lower(a.status ?? body.status) === "resolved" ? "resolved" : "firing";
  const what = text(notes.summary) || text(notes.description) || text(a.labels?.alertname);
  return `- **${state}** ${linked(what || "alert", sender.page(a))} ${line(told)}`.trimEnd();
}

/** The labels or annotations that all alerts have alike. */
function shared(alerts: Record<string, any>[], key: string): Record<string, string> {
  const first = isObject(alerts[0]?.[key]) ? alerts[0][key] : {};
  return Object.fromEntries(Object.entries(first).filter(([name, value]) => alerts.every((a) => a[key]?.[name] === value))) as Record<string, string>;
}

function severity(firing: Record<string, any>[]): Level {
  const all = firing.map((a) => lower(a.labels?.severity ?? a.labels?.priority));
  if (all.some((s) => !["warning", "warn", "info", "information", "none", "low"].includes(s))) return "error";
  return all.some((s) => s.startsWith("warn")) ? "warn" : "info";
}
