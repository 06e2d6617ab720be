// What a page of the console cannot do without JavaScript: the ceremonies of passkeys, and taking the secret out of a one-time link.
"use strict";
(() => {
  const bytes = (text) => {
    const raw = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(raw, (c) => c.charCodeAt(0));
  };
  const base64 = (buffer) => {
    let raw = "";
    for (const b of new Uint8Array(buffer)) raw += String.fromCharCode(b);
    return btoa(raw).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const byID = (id) => document.getElementById(id);

  const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.?!]$/.test(text) ? "" : ".");

  const fail = (message, remedy) => {
    const box = byID("error");
    box.textContent = sentence(message) + (remedy ? " " + sentence(remedy) : "");
    box.hidden = false;
    box.scrollIntoView({ block: "nearest" });
  };

  // Refused is what the server said; its text is for people.
  class Refused extends Error {
    constructor(problem) {
      super(problem.detail);
      this.code = problem.code;
      this.remedy = problem.remedy;
    }
  }

  const post = async (path, body) => {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const kind = answer.headers.get("Content-Type") || "";
    if (answer.ok && kind.startsWith("application/json")) return answer.json();
    if (kind.startsWith("application/problem+json")) throw new Refused(await answer.json());
    throw new Error("The server did not answer as expected (" + answer.status + ")");
  };

  // explain says what went wrong in words; the browser's own name for a ceremony that ended is no help to anybody.
  const explain = (e) => {
    if (e instanceof Refused) {
      if (e.code === "session_unknown") return location.assign("/signin?next=" + encodeURIComponent(location.pathname));
      if (byID("consent") && e.code.startsWith("ticket_")) return location.reload(); // it was answered elsewhere: the page says so
      return fail(e.message, e.remedy);
    }
    switch (e.name) {
      case "NotAllowedError": return fail("The passkey was not used: it was cancelled, or it took too long. Nothing was sent.");
      case "InvalidStateError": return fail("This device has a passkey of yours already.");
      case "SecurityError": return fail("Passkeys do not work at this address: open the server by its own name.");
      case "TypeError": return fail("The server cannot be reached. Nothing was changed.");
    }
    return fail(e.message);
  };

  const request = (o) => navigator.credentials.get({
    publicKey: {
      challenge: bytes(o.challenge),
      timeout: o.timeout,
      rpId: o.rpId,
      userVerification: "required",
      allowCredentials: o.allowCredentials.map((c) => ({ type: c.type, id: bytes(c.id) })),
    },
  });

  const create = (o) => navigator.credentials.create({
    publicKey: {
      ...o,
      challenge: bytes(o.challenge),
      user: { ...o.user, id: bytes(o.user.id) },
      excludeCredentials: o.excludeCredentials.map((c) => ({ type: c.type, id: bytes(c.id) })),
    },
  });

  const credential = (c, response) => ({ id: c.id, rawId: base64(c.rawId), type: c.type, response });

  const prove = async () => {
    const c = await request(await post("/signin/begin", {}));
    const r = c.response;
    await post("/signin/finish", credential(c, {
      clientDataJSON: base64(r.clientDataJSON),
      authenticatorData: base64(r.authenticatorData),
      signature: base64(r.signature),
      userHandle: r.userHandle ? base64(r.userHandle) : "",
    }));
  };

  const signIn = async (button) => {
    await prove();
    location.replace(button.dataset.next);
  };

  const register = async (button) => {
    const c = await create(await post("/passkey/begin", {}));
    await post("/passkey/finish?label=" + encodeURIComponent(byID("label").value.trim()), credential(c, {
      clientDataJSON: base64(c.response.clientDataJSON),
      attestationObject: base64(c.response.attestationObject),
    }));
    location.replace(button.dataset.next);
  };

  // sameAsShown holds what is to be signed to what this page shows: the person signs what they read, whatever the server or anything between sent.
  const sameAsShown = async (proposal, form, choice, reason) => {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(proposal.statement));
    const v = JSON.parse(proposal.statement);
    return proposal.options.challenge === base64(digest) && v.typ === "attorn-vote" && v.ws === form.dataset.workspace &&
      v.asks.length === 1 && v.asks[0].id === form.dataset.approval && v.asks[0].object === form.dataset.digest &&
      v.vote === choice && v.reuse === "once" && v.reason === reason;
  };

  const vote = async (form, choice) => {
    const reason = form.elements.reason.value.trim();
    if (choice === "deny" && reason === "") {
      form.elements.reason.focus();
      throw new Error("Say why: a denial has a reason, which the agent reads.");
    }
    const at = form.getAttribute("action");
    const proposal = await post(at + "/challenge", { vote: choice, reason });
    if (!await sameAsShown(proposal, form, choice, reason)) throw new Error("This request has changed. Reload to see it.");
    const c = await request(proposal.options);
    await post(at + "/vote", {
      statement: proposal.statement,
      assertion: assertion(c),
    });
    location.reload();
  };

  const assertion = (c) => ({
    credential_id: base64(c.rawId),
    authenticator_data: base64(c.response.authenticatorData),
    client_data_json: base64(c.response.clientDataJSON),
    signature: base64(c.response.signature),
  });

  // sorted is v with the members of its objects in one order (RFC 8785 §3.2.3), so that what is equal has one text.
  const sorted = (v) => {
    if (v === null || typeof v !== "object") return v;
    if (Array.isArray(v)) return v.map(sorted);
    return Object.fromEntries(Object.keys(v).sort().map((k) => [k, sorted(v[k])]));
  };

  // lendsWhatIsShown holds a statement to what this page shows, member by member; the server draws its id, and says when it begins.
  const lendsWhatIsShown = async (proposal, signs, choice) => {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(proposal.statement));
    const st = JSON.parse(proposal.statement);
    const want = {
      v: 1, id: st.id, iss: signs.iss, ws: signs.ws, parent: null, delegator: { user: signs.user }, delegate: { agent: signs.agent },
      permissions: choice.keep.map((n) => signs.permissions[n]), not_before: st.not_before, expires_at: st.not_before + choice.ttl, max_depth: choice.depth,
    };
    const uses = choice.uses || signs.uses, task = choice.task || signs.task;
    if (uses) want.max_uses = uses;
    if (task) want.task = task;
    if (signs.purpose) want.purpose = signs.purpose;
    if (choice.further && signs.may_act) want.may_act = signs.may_act;
    return proposal.options.challenge === base64(digest) && typeof st.id === "string" && Number.isSafeInteger(st.not_before) &&
      signs.from <= st.not_before && st.not_before <= signs.to && JSON.stringify(sorted(st)) === JSON.stringify(sorted(want));
  };

  const consent = async (form, verdict) => {
    const at = form.getAttribute("action");
    if (verdict === "refuse") return location.replace((await post(at + "/refuse", {})).resume);
    const fields = form.elements;
    const keep = [...form.querySelectorAll("input[name^=keep]")].filter((c) => c.checked).map((c) => Number(c.name.slice(4)));
    if (keep.length === 0) throw new Error("Nothing is left of what it asks. Keep something, or refuse.");
    const task = fields.task ? fields.task.value.trim() : "";
    const choice = { keep: keep.sort((a, b) => a - b), ttl: Number(fields.ttl.value), uses: Number(fields.uses.value), depth: Number(fields.depth.value), task, further: Boolean(fields.further && fields.further.checked) };
    if (!form.dataset.signs) return location.replace((await post(at + "/attest", choice)).resume);
    const proposal = await post(at + "/propose", choice);
    if (!await lendsWhatIsShown(proposal, JSON.parse(form.dataset.signs), choice)) throw new Error("This request has changed. Reload to see it.");
    const c = await request(proposal.options);
    location.replace((await post(at + "/give", { statement: proposal.statement, assertion: assertion(c) })).resume);
  };

  // busy runs a ceremony with the buttons off, so that it is begun once.
  const busy = async (buttons, run) => {
    const off = buttons.map((b) => b.disabled);
    byID("error").hidden = true;
    for (const b of buttons) b.disabled = true;
    try {
      await run();
    } catch (e) {
      explain(e);
      buttons.forEach((b, i) => { b.disabled = off[i]; });
    }
  };

  const able = window.PublicKeyCredential !== undefined;
  const noPasskeys = () => fail(window.isSecureContext ? "This browser has no passkeys." : "Passkeys work over https alone, and on localhost.");

  for (const [id, run] of [["signin", signIn], ["register", register]]) {
    const button = byID(id);
    if (!button) continue;
    if (!able) {
      noPasskeys();
      continue;
    }
    button.disabled = false;
    button.addEventListener("click", () => busy([button], () => run(button)));
  }

  // What takes a fresh sign-in gets one first: a new session, in which the form is then sent.
  for (const form of document.querySelectorAll("form[data-prove]")) {
    if (!able) continue;
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      busy([form.querySelector("button")], async () => {
        await prove();
        form.submit();
      });
    });
  }

  const ballot = byID("vote");
  if (ballot) {
    const [approve, deny] = ballot.querySelectorAll("button");
    ballot.addEventListener("submit", (e) => {
      e.preventDefault();
      const choice = e.submitter ? e.submitter.value : "";
      if (choice === "approve" || choice === "deny") busy([approve, deny], () => vote(ballot, choice));
    });
    // Enter in the reason would press the first button, which approves.
    ballot.elements.reason.addEventListener("keydown", (e) => {
      if (e.key === "Enter") e.preventDefault();
    });
    if (!able) noPasskeys();
    else {
      deny.disabled = false;
      const folded = [...document.querySelectorAll("details.long")];
      const read = () => { approve.disabled = folded.length > 0; };
      for (const d of folded) {
        d.addEventListener("toggle", () => {
          folded.splice(folded.indexOf(d), 1);
          read();
        }, { once: true });
      }
      read();
    }
  }

  const asked = byID("consent");
  if (asked) {
    // What is struck out is struck out of the chain, too.
    const strike = () => {
      for (const c of asked.querySelectorAll("input[type=checkbox]")) {
        for (const p of asked.querySelectorAll('[data-n="' + c.name.replace("keep", "") + '"]')) p.classList.toggle("cut", !c.checked);
      }
    };
    asked.addEventListener("change", strike);
    strike();
    const buttons = [...asked.querySelectorAll(".act button")];
    const allow = buttons.find((b) => b.value === "allow"); // none to who cannot lend now
    if (allow && asked.dataset.signs) {
      if (!able) noPasskeys();
      else allow.disabled = false;
    }
    asked.addEventListener("submit", (e) => {
      e.preventDefault();
      const verdict = e.submitter ? e.submitter.value : ""; // Enter in a field presses the button that answers nothing
      if (verdict === "allow" || verdict === "refuse") busy(buttons, () => consent(asked, verdict));
    });
  }

  // A picture that is wider than its frame begins at what was chosen.
  const picture = document.querySelector(".picture");
  const box = picture && [...picture.querySelectorAll(".agent.on .box")].pop();
  if (box) picture.scrollLeft = box.x.baseVal.value + box.width.baseVal.value / 2 - picture.clientWidth / 2;

  // The secret of a one-time link stands in the fragment, which is never sent: it goes into the form, out of the address bar and the history.
  const link = byID("link");
  if (link && location.hash.length > 1 && byID("secret")) {
    byID("secret").value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    byID("field").hidden = true;
    byID("ask").hidden = true;
    byID("ready").hidden = false;
  }
})();
