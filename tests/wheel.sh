# Uses the installed package as a newcomer would: `make wheel-test` runs this with a new environment on the PATH.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python - <<'PROGRAM'
from pathlib import Path

from PIL import Image, ImageDraw

for part in ("images", "masks"):
    Path("data", part).mkdir(parents=True)
for index in range(6):
    image, mask = Image.effect_noise((320, 240), 32).convert("RGB"), Image.new("L", (320, 240))
    for picture, colour in ((image, (200, 40, 40)), (mask, 255)):
        ImageDraw.Draw(picture).ellipse((40 + index, 60, 90 + 9 * index, 200), fill=colour)
    image.save(f"data/images/{index}.jpg")
    mask.save(f"data/masks/{index}.png")
PROGRAM

set -x
objascale --version
bench models >/dev/null
reports --help >/dev/null
flip predict data/images/0.jpg --box 40,60,90,200 --out mask.png
bench run --models box,ellipse,grabcut,flip-s --data data
reports build
test -s mask.png
test -s report/index.html
