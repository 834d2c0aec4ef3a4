// While something is made ready: brings the news into the page, and goes on as soon as there is a page to go on to.
// A page that reloads itself would take people away from where they are reading.
(() => {
  "use strict";
  const look = async () => {
    try {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (page.body.dataset.stage !== "preparing") return location.reload();
      const news = page.querySelector("#news");
      if (news) document.querySelector("#news").replaceWith(document.adoptNode(news));
    } catch {
      // The connection is gone for now.
    }
    return setTimeout(look, 10_000);
  };
  setTimeout(look, 10_000);
})();
