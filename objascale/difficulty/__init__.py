"""Difficulty of pictures: dials with strengths from 0 to 5, and masks that stay exact at every setting.

A plan with difficulty (the presets `photo` and `hard`) draws a strength of each dial for each picture. The draws depend
on seed, slot, attempt and the name of the dial only, so they are independent of each other, and a further dial changes
none of the others. Signs, angles and noise come from the seed of the picture in the same way. A spec without
difficulty (the presets `paper` and `full`) is rendered as if this package did not exist.

The dials act in the order in which light meets them:

    scene        distractors   others of the same category near the first object
                 occlusion     another object before the first one
                 context       shadows of the objects on a ground below them
                 camouflage    colours of the background on the objects
    atmosphere   contrast      haze: a veil of light over the scene
    lens         sharpness     defocus
                 motion        of the object, the camera, or both
    sensor       exposure      stops away from a metered exposure
                 noise         shot noise and read noise
    file         compression   quality of the JPEG

All but the last act on scene-linear light, before the view transform. Pictures with difficulty differ from others at
strength 0 too: the exposure is metered, and objects have the point spread of the background, because a map that is
magnified is softer than any object in front of it. Blur is limited by the smallest object of the picture, so that no
object dissolves. `docs/difficulty.md` has the formulas.

Masks do not depend on the dials: they are of the sharp object at pixel centres. Distractors and the occluder are
objects of the spec with masks of their own. They hide parts of the first object, as objects do; the amodal mask of each
is annotated too. So are the pixels at which a spread mask is uncertain, so that scores can leave them out.

    record       the strengths of a picture
    ranges       the ranges that strengths are drawn from, and their presets
    neighbours   places of distractors and of the occluder
    spread       blur: Gaussian and linear
    exposure, contrast, sharpness, motion, noise, compression, camouflage, context
                 one dial each: strength to numbers of physics, and a pure function of the picture where one is needed
    effects      all dials of a picture, applied to objects, to bands of rows, and to masks
"""
