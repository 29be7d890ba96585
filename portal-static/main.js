// Shows whether this AMS works, and the first call to make against it. No framework yet: the portal has its own issue.
"use strict";

const origin = window.location.origin;
const event = '{"specversion":"1.0","type":"ams.usage.v1","source":"my-laptop","id":"first-1","subject":"ocr"}';

document.getElementById("report").textContent =
  `curl -sS ${origin}/api/consume -H "X-AMS-Key: $AMS_KEY" \\\n` +
  `  -H 'Content-Type: application/cloudevents+json' \\\n  -d '${event}'`;
document.getElementById("summary").textContent =
  `curl -sS "${origin}/api/v1/usage/summary?group_by=service,hour" -H "X-AMS-Key: $AMS_KEY"`;

async function showHealth() {
  const line = document.getElementById("health");
  const list = document.getElementById("checks");
  try {
    const response = await fetch("/api/health/ready", { cache: "no-store" });
    const health = await response.json();
    line.textContent = health.status === "pass" ? "Ready." : "Not ready:";
    line.className = health.status;
    list.replaceChildren(...Object.entries(health.checks).map(([name, check]) => {
      const item = document.createElement("li");
      item.className = check.status;
      item.textContent = check.reason ? `${name}: ${check.reason}` : `${name}: works`;
      return item;
    }));
  } catch {
    line.textContent = "This server does not answer.";
    line.className = "fail";
    list.replaceChildren();
  }
}

showHealth();
setInterval(showHealth, 10_000);
