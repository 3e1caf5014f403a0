"use strict";
(() => {
  const sortable = (table) => {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const heads = Array.from(table.tHead.rows[0].cells);
    const input = document.getElementById("filter");
    const choice = document.getElementById("show");
    const shown = document.getElementById("shown");

    const filter = () => {
      const wanted = input.value.trim().toLowerCase();
      let n = 0;
      for (const row of rows) {
        const keep = row.dataset.text.includes(wanted) &&
          (choice.value === "all" || row.dataset.is.split(" ").includes(choice.value));
        row.hidden = !keep;
        n += keep ? 1 : 0;
      }
      shown.textContent = n + " of " + rows.length + " columns";
    };

    const sort = (place) => {
      const head = heads[place];
      const isNumber = head.dataset.sort === "number";
      const before = head.getAttribute("aria-sort");
      const rising = before ? before === "descending" : !isNumber;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const value = (row) => {
        const text = row.cells[place].dataset.value ?? row.cells[place].textContent;
        return isNumber ? (text === "" ? -1 : Number(text)) : text.toLowerCase();
      };
      const order = isNumber ? (a, b) => a - b : (a, b) => a.localeCompare(b);
      rows.sort((a, b) => (rising ? 1 : -1) * order(value(a), value(b)));
      body.append(...rows);
    };

    input.addEventListener("input", filter);
    choice.addEventListener("change", filter);
    heads.forEach((head, place) => {
      const button = head.querySelector("button");
      if (button) button.addEventListener("click", () => sort(place));
    });
    filter();
  };

  const table = document.getElementById("columns-table");
  if (table) sortable(table);

  const links = new Map(Array.from(document.querySelectorAll("nav a"), (a) => [a.hash.slice(1), a]));
  const sections = Array.from(document.querySelectorAll("main section"));
  const mark = () => {
    const passed = sections.filter((one) => one.getBoundingClientRect().top < 120);
    const here = passed.length ? passed[passed.length - 1].id : sections[0].id;
    links.forEach((link, id) => link.classList.toggle("here", id === here));
  };
  document.addEventListener("scroll", mark, { passive: true });
  mark();
})();
