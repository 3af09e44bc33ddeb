// A button above each traceback copies it; without JavaScript, there is no button.
for (const error of document.querySelectorAll("pre.traceback")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(error.textContent);
    button.textContent = "Copied";
  });
  error.before(button);
}
