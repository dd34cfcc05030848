// The "Custom" webhook of Bytebase 1.0.5 to 3.4, and whatever else speaks it.
import { sha256, truncate, type Answer, type Outcome, type Request, type SourceResult } from "relay";
import { given, id, isObject, kept, link as usable, lower, text, typed } from "../lib/source";

// Every name that an activity ever had, in lower case: the ids up to 3.6, those
// of 3.7 to 3.10, the enums since, and bb.issue.created of the documents.
const types: Record<string, string> = {
  "bb.issue.create": "issue.created",
  "bb.issue.created": "issue.created",
  "bb.webhook.event.issue.create": "issue.created",
  "issue_create": "issue.created",
  "issue_created": "issue.created",
  "bb.issue.field.update": "issue.updated",
  "bb.webhook.event.issue.update": "issue.updated",
  "issue_field_update": "issue.updated",
  "bb.issue.status.update": "issue.status_changed",
  "bb.webhook.event.issue.status.update": "issue.status_changed",
  "issue_status_update": "issue.status_changed",
  "bb.issue.comment.create": "issue.comment_created",
  "bb.webhook.event.issue.comment.create": "issue.comment_created",
  "issue_comment_create": "issue.comment_created",
  "bb.issue.approval.notify": "issue.approval_requested",
  "bb.webhook.event.issue.approval.create": "issue.approval_requested",
  "issue_approval_notify": "issue.approval_requested",
  "issue_approval_requested": "issue.approval_requested",
  "bb.notify.issue.approved": "issue.approved",
  "bb.webhook.event.issue.approval.pass": "issue.approved",
  "notify_issue_approved": "issue.approved",
  "issue_approved": "issue.approved",
  "issue_sent_back": "issue.sent_back",
  "bb.notify.pipeline.rollout": "issue.rollout_requested",
  "bb.webhook.event.issue.rollout.ready": "issue.rollout_requested",
  "notify_pipeline_rollout": "issue.rollout_requested",
  "bb.pipeline.stage.status.update": "stage.status_changed",
  "bb.webhook.event.stage.status.update": "stage.status_changed",
  "issue_pipeline_stage_status_update": "stage.status_changed",
  "bb.pipeline.task.status.update": "task.status_changed",
  "bb.pipeline.taskrun.status.update": "task.status_changed",
  "bb.webhook.event.taskrun.status.update": "task.status_changed",
  "issue_pipeline_task_run_status_update": "task.status_changed",
  "pipeline_failed": "pipeline.failed",
  "pipeline_completed": "pipeline.completed",
};

const levels = ["info", "success", "warn", "error"];

// Characters that surely fit into an event, whatever the script.
const maxTitle = 1000;
const maxText = 16000;

export default function (request: Request): SourceResult {
  const body = request.json();
  if (!isObject(body)) throw new TypeError("the body must be a JSON object");
  const { activity_type, level, title, description, link, creator_id, creator_name, created_ts, issue, project, ...data } = body;

  const event: any = { id: sha256(request.body), type: eventType(activity_type) };
  if (given(activity_type) && !known(activity_type) && event.type !== activity_type) data.activity_type = activity_type;
  event.level = levels.includes(lower(level)) ? lower(level) : "info";
  if (given(level) && event.level !== lower(level)) data.level = level;
  event.title = truncate(text(title).trim(), maxTitle) || text(issue?.name) || event.type;
  if (text(description)) event.description = truncate(text(description), maxText);

  if (usable(link)) event.link = usable(link);
  else if (given(link)) data.link = link;

  const time = new Date(Number(created_ts) * 1000);
  if (created_ts > 0 && time.getTime() < Date.UTC(9999, 0)) event.time = time.toISOString();
  else if (given(created_ts)) data.created_ts = created_ts;

  const actor = kept({ id: id(creator_id), name: text(creator_name) });
  if (actor) event.actor = actor;
  if (isObject(issue)) {
    event.issue = kept({
      id: id(issue.id),
      name: text(issue.name),
      status: text(issue.status),
      type: text(issue.type),
      description: truncate(text(issue.description), maxText),
    });
    const { id: _id, name, status, type, description, ...rest } = issue;
    if (Object.keys(rest).length > 0) data.issue = rest;
  } else if (given(issue)) data.issue = issue;
  if (isObject(project)) {
    // Since 3.1 a project is {name: "projects/demo", title: "Demo"}.
    const renamed = given(project.title);
    event.project = kept({ id: id(project.id ?? (renamed ? project.name : undefined)), name: text(renamed ? project.title : project.name) });
    const { id: _id, name, title, ...rest } = project;
    if (Object.keys(rest).length > 0) data.project = rest;
  } else if (given(project)) data.project = project;

  if (Object.keys(data).length > 0) event.data = data;
  return event;
}

// Its callers read a code and a message from the body of every answer.
export function answer(result: Outcome): Answer {
  const failed = result.status >= 300;
  return {
    status: failed ? result.status : 200,
    content_type: "application/json",
    body: failed ? { code: result.status, message: result.error ?? "" } : { code: 0, message: "" },
  };
}

// An activity that relay has no word for keeps its own, in characters that the
// type of an event may have.
function eventType(activity: unknown): string {
  const type = known(activity);
  if (type) return type;
  const clean = typed(activity, "bytebase.event");
  return clean.startsWith("relay.") ? "bytebase." + clean : clean;
}

function known(activity: unknown): string | undefined {
  return Object.hasOwn(types, lower(activity)) ? types[lower(activity)] : undefined;
}
