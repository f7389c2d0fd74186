// Tables sort by a click on a heading, and a box above each long one keeps the rows that hold a text.
"use strict";
for (const table of document.querySelectorAll("table:not(.small)")) {
  const rows = [...table.rows].slice(1), head = table.rows[0];
  if (rows.length < 2 || !head || !head.querySelector("th")) continue;
  const value = (row, at) => {
    let place = 0;
    for (const cell of row.cells) { if (place >= at) return cell.textContent.trim(); place += cell.colSpan; }
    return "";
  };
  const number = (text) => {
    const found = text.replace(/[≈<,\s]/g, "").match(/^-?\d+(\.\d+)?/);
    const unit = { kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 }[(text.match(/[kMGT]B$/) || [""])[0]] || 1;
    return found ? parseFloat(found[0]) * unit : NaN;
  };
  [...head.cells].forEach((cell, at) => {
    if (!cell.textContent.trim()) return;
    cell.style.cursor = "pointer";
    cell.tabIndex = 0;
    let up = true;
    const sort = () => {
      up = !up;
      const sorted = [...rows].sort((a, b) => {
        const [x, y] = [value(a, at), value(b, at)], [n, m] = [number(x), number(y)];
        const order = !isNaN(n) && !isNaN(m) ? n - m : !isNaN(n) ? -1 : !isNaN(m) ? 1 : x.localeCompare(y);
        return up ? order : -order;
      });
      for (const row of sorted) table.tBodies[0].append(row);
    };
    cell.addEventListener("click", sort);
    cell.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
  if (rows.length < 12) continue;
  const box = document.createElement("input");
  box.type = "search";
  box.placeholder = "⌕";
  box.setAttribute("aria-label", "⌕");
  box.addEventListener("input", () => {
    const text = box.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(text);
  });
  table.parentElement.before(box);
}
