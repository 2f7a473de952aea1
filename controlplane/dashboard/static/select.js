// Selects all rows of a list, and shows how many are selected. Without this script, the boxes and
// the button work alone.
const all = document.getElementById("select-all");
const count = document.getElementById("selected");

if (all) {
  const boxes = [...document.querySelectorAll('input[name="domain"][form="select"]')];
  const update = () => {
    const n = boxes.filter((box) => box.checked).length;
    all.checked = n > 0 && n === boxes.length;
    all.indeterminate = n > 0 && n < boxes.length;
    count.textContent = n ? `${n} selected` : "";
  };
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    update();
  });
  for (const box of boxes) box.addEventListener("change", update);
  addEventListener("pageshow", update); // the browser restores the boxes after Back
  update();
}
