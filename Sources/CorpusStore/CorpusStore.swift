import Logits
