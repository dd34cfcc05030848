// GitHub's webhooks, of a repository or an organization. GitHub signs them: set
// hmac in relay.yaml. People are found by `github: <login>`.
import { type Level, type Person, type Request, type SourceResult } from "relay";
import { everybody, id, isObject, kept, line, linked, link, list, lower, markdown, payload, plural, text, time, title, typed } from "../lib/source";

export default function (request: Request): SourceResult {
  const body = payload(request);
  const name = text(request.headers["x-github-event"]);
  if (name === "") throw new TypeError("the X-GitHub-Event header is missing");
  if (name === "ping") return { skip: "GitHub's ping" };
  const made = (events[name] ?? other)(body, name);
  if ("skip" in made) return made as { skip: string };

  const event: any = { ...made };
  const delivery = text(request.headers["x-github-delivery"]);
  if (delivery) event.id = delivery;
  event.title = title(event.title, name);
  event.description = markdown(event.description);
  event.link = link(event.link) ?? link(body.repository?.html_url);
  event.time = time(event.time);
  event.actor ??= person(body.sender);
  if (isObject(body.repository)) event.project = kept({ id: id(body.repository.id), name: text(body.repository.full_name) });
  event.recipients = everybody(list(event.recipients), person(body.sender));
  event.data = { event: name, action: text(body.action), ...event.data };
  for (const key of Object.keys(event)) if (event[key] === undefined) delete event[key];
  return event;
}

type Made = { type: string; title: string; level?: Level; [key: string]: any } | { skip: string };

const events: Record<string, (body: Record<string, any>, name: string) => Made> = {
  push(body) {
    const ref = text(body.ref).replace(/^refs\/(heads|tags)\//, "");
    const repository = text(body.repository?.name);
    if (body.deleted) return { type: "git.ref_deleted", level: "warn", title: `${ref} deleted in ${repository}` };
    const commits = list(body.commits).filter(isObject);
    if (commits.length === 0) return { skip: "a push without commits" };
    return {
      type: "git.pushed",
      title: `${plural(commits.length, "commit")} pushed to ${repository} ${ref}`,
      description: commits.slice(0, 20).map((c) => `- ${linked(text(c.id).slice(0, 7), c.url)} ${line(text(c.message).split("\n")[0])} – ${line(c.author?.name)}`).join("\n"),
      link: body.compare,
      time: body.head_commit?.timestamp,
      data: { ref, forced: body.forced === true },
    };
  },
  issues(body) {
    const issue = body.issue ?? {};
    const types: Record<string, string> = { opened: "issue.created", closed: "issue.status_changed", reopened: "issue.status_changed", deleted: "issue.deleted" };
    const action = text(body.action);
    return {
      type: types[action] ?? "issue.updated",
      level: action === "closed" ? "success" : "info",
      title: `#${text(issue.number)} ${text(issue.title)}`,
      description: action === "opened" ? issue.body : undefined,
      link: issue.html_url,
      time: issue.updated_at,
      issue: about(issue),
      recipients: action === "opened" || action === "assigned" ? list(issue.assignees).map(person) : [],
    };
  },
  issue_comment(body) {
    if (body.action !== "created") return { skip: `a comment was ${text(body.action)}` };
    const issue = body.issue ?? {};
    return {
      type: issue.pull_request ? "pull_request.comment_created" : "issue.comment_created",
      title: `#${text(issue.number)} ${text(issue.title)}`,
      description: body.comment?.body,
      link: body.comment?.html_url,
      time: body.comment?.created_at,
      issue: about(issue),
      recipients: [...list(issue.assignees), issue.user].map(person),
    };
  },
  pull_request(body) {
    const pull = body.pull_request ?? {};
    const action = text(body.action);
    const merged = action === "closed" && pull.merged === true;
    const words: Record<string, string> = { opened: "created", closed: merged ? "merged" : "closed", reopened: "reopened", review_requested: "review_requested" };
    const what = words[action] ?? "updated";
    return {
      type: `pull_request.${what}`,
      level: merged ? "success" : what === "review_requested" ? "warn" : "info",
      title: `Pull request ${what.replace("_", " ")}: #${text(pull.number)} ${text(pull.title)}`,
      description: action === "opened" ? pull.body : undefined,
      link: pull.html_url,
      time: pull.updated_at,
      issue: about(pull),
      recipients: what === "review_requested" ? [person(body.requested_reviewer)] : merged || what === "closed" ? [person(pull.user)] : list(pull.assignees).map(person),
      data: { base: text(pull.base?.ref), head: text(pull.head?.ref) },
    };
  },
  pull_request_review(body) {
    const pull = body.pull_request ?? {};
    const state = lower(body.review?.state);
    if (body.action !== "submitted") return { skip: `a review was ${text(body.action)}` };
    const types: Record<string, [string, Level, string]> = {
      approved: ["pull_request.approved", "success", "Pull request approved"],
      changes_requested: ["pull_request.changes_requested", "warn", "Changes requested"],
    };
    const [type, level, words] = types[state] ?? ["pull_request.comment_created", "info", "Review"];
    return {
      type,
      level,
      title: `${words}: #${text(pull.number)} ${text(pull.title)}`,
      description: body.review?.body,
      link: body.review?.html_url,
      time: body.review?.submitted_at,
      issue: about(pull),
      recipients: [person(pull.user)],
    };
  },
  workflow_run(body) {
    const run = body.workflow_run ?? {};
    if (body.action !== "completed") return { skip: `a workflow run was ${text(body.action)}` };
    const outcome = lower(run.conclusion);
    const good = ["success", "neutral", "skipped"].includes(outcome);
    return {
      type: good ? "build.completed" : outcome === "cancelled" ? "build.canceled" : "build.failed",
      level: good ? "success" : outcome === "cancelled" ? "warn" : "error",
      title: `${text(run.name)} ${outcome}: ${text(run.head_branch)}`,
      description: line(text(run.head_commit?.message).split("\n")[0]),
      link: run.html_url,
      time: run.updated_at,
      recipients: good ? [] : [person(run.actor)],
      data: { branch: text(run.head_branch), commit: text(run.head_sha) },
    };
  },
  release(body) {
    if (body.action !== "published") return { skip: `a release was ${text(body.action)}` };
    const release = body.release ?? {};
    return { type: "release.published", level: "success", title: `Release ${text(release.name) || text(release.tag_name)}`, description: release.body, link: release.html_url, time: release.published_at };
  },
};

function other(body: Record<string, any>, name: string): Made {
  const action = text(body.action);
  return {
    type: typed(["github", name, action].filter(Boolean).join("."), "github.event"),
    title: `${[name, action].filter(Boolean).join(" ").replace(/_/g, " ")} in ${text(body.repository?.full_name) || text(body.organization?.login)}`,
  };
}

function about(issue: Record<string, any>) {
  return kept({ id: id(issue.number), name: text(issue.title), status: text(issue.state).toUpperCase() });
}

function person(user: any): Person | undefined {
  if (!isObject(user) || !text(user.login)) return undefined;
  return kept({ id: id(user.id), name: text(user.login), ids: { github: text(user.login) } });
}
