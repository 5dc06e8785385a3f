// Owns what is read of a report in a browser: whether all of it can be seen, and what its tables say.
// Promises: the answer goes to the page around it, as one object.
// Never part of a report.
addEventListener("load", () => {
  const wrong = [];
  const width = document.documentElement.clientWidth;
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  if (document.documentElement.scrollWidth > width) wrong.push(`the page is ${document.documentElement.scrollWidth} wide`);
  for (const table of all(".table")) {
    const title = table.parentElement.querySelector("h2").textContent;
    if (table.scrollWidth > table.clientWidth) wrong.push(`${title}: a part of the table is hidden`);
  }
  for (const chart of all("svg")) {
    const box = chart.getBoundingClientRect();
    const title = chart.getAttribute("aria-label");
    for (const text of all("text", chart)) {
      const place = text.getBoundingClientRect();
      if (place.left < box.left || place.right > box.right || place.top < box.top || place.bottom > box.bottom)
        wrong.push(`${title}: ${text.textContent} is cut off`);
      if (place.height < 8) wrong.push(`${title}: ${text.textContent} is ${place.height} high`);
    }
  }
  for (const cell of all("td, th, p, h1, h2")) {
    if (parseFloat(getComputedStyle(cell).fontSize) < 12) wrong.push(`${cell.textContent} is small`);
  }
  const own = all("script").filter((script) => !script.hasAttribute("data-look"));
  if (own.length > 0) wrong.push("the page has a script");
  if (performance.getEntriesByType("resource").length > 0) wrong.push("the page needs another file");
  if (all("img, iframe, object, link").length > 0) wrong.push("a name has become an element");
  const tables = {};
  for (const section of all("section")) {
    const rows = all("tbody tr", section).map((row) => all("td", row).map((cell) => cell.textContent));
    tables[section.querySelector("h2").textContent] = rows.length > 0 ? rows : all("circle", section).length;
  }
  const remarks = all(".exceeded").map((remark) => remark.textContent);
  parent.postMessage({ title: document.title, width, wrong, remarks, tables }, "*");
});
