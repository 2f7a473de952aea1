// The page's colors follow the reader's preference of light or dark.
const page = document.querySelector("rapi-doc");
const dark = matchMedia("(prefers-color-scheme: dark)");
const colors = {
  light: { "bg-color": "#ffffff", "text-color": "#16191f", "primary-color": "#1f5fbf" },
  dark: { "bg-color": "#0f1115", "text-color": "#e8eaf0", "primary-color": "#8ab4ff" },
};
const follow = () => {
  const theme = dark.matches ? "dark" : "light";
  page.setAttribute("theme", theme);
  for (const [name, value] of Object.entries(colors[theme])) page.setAttribute(name, value);
};
follow();
dark.addEventListener("change", follow);
