"""Real handwriting without a download: 1,797 small images of 8 x 8."""

from tinydni.datasets import digits
from tinydni.lab.jobs.job import Job
from tinydni.lab.jobs.mnist import classification, error_scores, show_predictions

JOB = Job("digits", "the small digits of UCI, 1,797 images of 8 x 8 (no download)",
          {"method": "cdni", "layers": 3, "width": 64, "epochs": 40, "batch_size": 32},
          lambda options: classification(digits(), options), error_scores, show_predictions)
