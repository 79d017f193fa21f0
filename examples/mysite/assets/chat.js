"use strict";
const form = document.querySelector("form");
const said = document.querySelector("#said");
const state = document.querySelector("output");
const most = 200;
let socket;

// Connects to the room below this page, and again a second after a connection is lost: a process that is replaced ends
// those that it has.
function connect() {
  const url = new URL("room", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(url);
  socket.onopen = () => { state.value = "connected"; };
  socket.onmessage = ({ data }) => {
    const line = document.createElement("li");
    line.textContent = data;
    said.prepend(line);
    while (said.children.length > most) {
      said.lastChild.remove();
    }
  };
  socket.onclose = () => {
    state.value = "connecting";
    setTimeout(connect, 1000);
  };
}

form.onsubmit = (event) => {
  event.preventDefault();
  if (socket.readyState === WebSocket.OPEN) {
    socket.send(`${form.visitor.value}: ${form.words.value}`);
    form.words.value = "";
  }
};

connect();
