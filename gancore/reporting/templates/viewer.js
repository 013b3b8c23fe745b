"use strict";
// Objects that a reader can turn by hand. One renderer draws them all, each into a canvas of its own, and only when
// something has changed. Without WebGL the pictures of the objects stay.
(async () => {
  const figures = [...document.querySelectorAll("figure.object")];
  if (!document.createElement("canvas").getContext("webgl2")) return;
  THREE.ColorManagement.enabled = false;  // the colours of vertices are shown as they are
  const renderer = new THREE.WebGLRenderer({alpha: true, antialias: true});
  renderer.outputColorSpace = THREE.LinearSRGBColorSpace;

  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  }

  async function buildMesh(figure) {
    const [vertices, faces] = [Number(figure.dataset.vertices), Number(figure.dataset.faces)];
    const data = await inflate(figure.dataset.mesh);
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(data, 0, 3 * vertices), 3));
    geometry.setIndex(new THREE.BufferAttribute(new Uint32Array(data, 12 * vertices, 3 * faces), 1));
    const colours = new Uint8Array(data, 12 * (vertices + faces), 3 * vertices);
    geometry.setAttribute("color", new THREE.BufferAttribute(colours, 3, true));
    geometry.computeVertexNormals();
    geometry.computeBoundingSphere();
    return new THREE.Mesh(geometry, new THREE.MeshLambertMaterial({side: THREE.DoubleSide, vertexColors: true}));
  }

  async function show(figure) {
    const canvas = figure.querySelector("canvas");
    const mesh = await buildMesh(figure);
    const {center, radius} = mesh.geometry.boundingSphere;
    const scene = new THREE.Scene(), camera = new THREE.PerspectiveCamera(30, 1, radius / 10, 10 * radius);
    const light = new THREE.DirectionalLight(0xffffff, 2);
    scene.add(mesh, new THREE.AmbientLight(0xffffff, 1.6), light);
    const [azimuth, elevation, distance] = [Math.PI / 6, Math.PI / 9, 1.1 * radius / Math.sin(Math.PI / 12)];
    camera.position.setFromSphericalCoords(distance, Math.PI / 2 - elevation, azimuth).add(center);
    canvas.hidden = false;
    for (const still of figure.querySelectorAll("img, p")) still.hidden = true;

    const controls = new THREE.OrbitControls(camera, canvas);
    Object.assign(controls, {enableZoom: false, enablePan: false});
    controls.target.copy(center);
    canvas.style.touchAction = "pan-y";  // a finger that moves up or down scrolls the page

    let waiting = false;
    function draw() {
      waiting = false;
      const side = Math.round(canvas.clientWidth * devicePixelRatio);
      if (!side) return;
      canvas.width = canvas.height = side;
      light.position.copy(camera.position).sub(center).applyAxisAngle(camera.up, -0.6);
      renderer.setSize(side, side, false);
      renderer.render(scene, camera);
      canvas.getContext("2d").drawImage(renderer.domElement, 0, 0);
    }
    function drawSoon() {
      if (!waiting) requestAnimationFrame(draw);
      waiting = true;
    }
    controls.addEventListener("change", drawSoon);
    new ResizeObserver(drawSoon).observe(canvas);
    canvas.addEventListener("keydown", event => {
      const [left, up] = {ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key] ?? [0, 0];
      if (!left && !up) return;
      event.preventDefault();
      controls.rotateLeft(-left * Math.PI / 12);
      controls.rotateUp(-up * Math.PI / 12);
      controls.update();
    });
    controls.update();
    draw();
  }

  for (const figure of figures) await show(figure);
  document.documentElement.dataset.objects = "shown";
})();
