"use strict";
const model = JSON.parse(document.getElementById("model").textContent);
const form = document.querySelector("form");
const result = document.getElementById("result");
const button = form.querySelector("button");

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function readRow() {
  const row = {};
  for (const input of form.querySelectorAll("[data-kind]")) {
    const isNumber = input.dataset.kind === "numeric";
    row[input.name] = input.value === "" ? null : isNumber ? Number(input.value) : input.value;
  }
  return row;
}

const shown = (value) => value.toLocaleString("en", { maximumSignificantDigits: 4 });
const signed = (value) => (value < 0 ? "\u2212" : "+") + shown(Math.abs(value));

function bar(value, largest) {
  const box = element("div", undefined, "bar");
  const filled = element("span", undefined, value < 0 ? "down" : "up");
  const share = largest ? (Math.abs(value) / largest) * 50 : 0;
  filled.style.width = share + "%";
  filled.style.left = (value < 0 ? 50 - share : 50) + "%";
  box.append(filled);
  box.setAttribute("aria-hidden", "true");
  return box;
}

function table(caption, pairs, format) {
  const made = element("table");
  made.append(element("caption", caption));
  const largest = Math.max(...pairs.map(([, value]) => Math.abs(value)));
  for (const [name, value] of pairs) {
    const line = made.insertRow();
    const head = element("th", name);
    head.scope = "row";
    line.append(head);
    line.insertCell().append(bar(value, largest));
    const number = line.insertCell();
    number.className = "number";
    number.textContent = format(value);
  }
  return made;
}

function show(answer) {
  const [prediction] = answer.predictions, [decision] = answer.decisions, [id] = answer.prediction_ids;
  const at = model.classes.indexOf(decision);
  const pick = (value) => (at < 0 ? value : value[at]);
  const facts = element("dl");
  const said = { binary: decision === 1 ? "yes (1)" : "no (0)", multiclass: decision, regression: "none: a value" };
  for (const [name, value] of [
    ["Decision", said[model.task]],
    ["Rule", model.rule],
    ["Model version", answer.model_version],
    ["Prediction id", id ?? "none: not written to the log"],
  ]) facts.append(element("dt", name), element("dd", value));
  result.replaceChildren(element("p", shown(pick(prediction)), "score"), facts);
  if (at >= 0) {
    const chances = model.classes.map((name, place) => [name, prediction[place]]);
    result.append(table("Probability of each class", chances, shown));
  }
  const parts = Object.entries(pick(answer.contributions[0])).sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  const of = at < 0 ? "" : ` of ${decision}`;
  result.append(
    table(`What each field adds to the margin${of} (${answer.unit})`, parts, signed),
    element("p", `Without any field ${signed(pick(answer.base_value))}, with all of them ${signed(pick(answer.margins[0]))}.`, "quiet"),
  );
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    const asked = { method: "POST", headers: { "Content-Type": "application/json" } };
    asked.body = JSON.stringify({ dataframe_records: [readRow()] });
    const response = await fetch(`explain?log=${document.getElementById("write-log").checked}`, asked);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    show(answer);
  } catch (error) {
    result.replaceChildren(element("p", error.message, "error"));
  } finally {
    button.disabled = false;
  }
});
