"""Words by which logs call things, in the languages they are written in. Everything here is data."""

import re


def _all(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Where letters follow each other without spaces, and stems with endings: replaced within words, the longer first.
STEMS: dict[str, str] = {
    # Chinese
    "学习率": "lr", "學習率": "lr", "损失": "loss", "損失": "loss", "准确率": "accuracy", "準確率": "accuracy", "准确度": "accuracy",
    "正确率": "accuracy", "正確率": "accuracy", "精确率": "precision", "查准率": "precision", "精度": "accuracy", "召回率": "recall",
    "误差": "error", "誤差": "error", "错误率": "error", "困惑度": "perplexity", "梯度范数": "grad norm", "训练": "train", "訓練": "train",
    "验证": "val", "驗證": "val", "评估": "val", "評估": "val", "测试": "test", "測試": "test", "轮次": "epoch", "轮数": "epoch", "周期": "epoch",
    "回合": "epoch", "轮": "epoch", "輪": "epoch", "迭代": "iteration", "步数": "step", "步數": "step", "步骤": "step", "步": "step", "批次": "batch",
    "批大小": "batch size", "批量大小": "batch size", "耗时": "time", "用时": "time", "时间": "time", "時間": "time", "剩余": "eta", "平均": "avg",
    "最佳": "best", "最优": "best", "最好": "best", "最低": "best", "最高": "best", "当前": "current",
    "第": " ", "集": " ", "总": "total", "秒": "seconds", "数": " ",
    # Japanese, Korean
    "正解率": "accuracy", "エポック": "epoch", "ステップ": "step", "学習": "train", "検証": "val", "テスト": "test", "損失関数": "loss",
    "손실": "loss", "정확도": "accuracy", "에포크": "epoch", "에폭": "epoch", "스텝": "step", "학습률": "lr", "학습": "train", "훈련": "train",
    "검증": "val", "테스트": "test", "시간": "time",
    # Russian, Ukrainian
    "скорость обучения": "lr", "потер": "loss", "лосс": "loss", "втрат": "loss", "точност": "accuracy", "точніст": "accuracy", "ошибк": "error",
    "эпох": "epoch", "епох": "epoch", "шаг": "step", "крок": "step", "итераци": "iteration", "обуч": "train", "трениров": "train",
    "навчанн": "train",
    "валидац": "val", "проверк": "val", "тест": "test", "время": "time", "времени": "time", "лучш": "best", "средн": "avg",
    # German compounds
    "verlust": "loss", "genauigkeit": "accuracy", "validierungs": "val", "validierung": "val", "trainings": "train",
    "lernrate": "lr", "epoche": "epoch",
}  # fmt: skip
CYRILLIC_END = "[а-яёіїєґ]*"  # of a stem

# Whole words of languages with Latin letters, accents taken off.
FOREIGN: dict[str, str] = {
    # German
    "fehler": "error", "schritt": "step", "zeit": "time", "dauer": "time", "mittlerer": "avg", "bester": "best", "beste": "best",
    # French
    "perte": "loss", "pertes": "loss", "exactitude": "accuracy", "epoque": "epoch", "etape": "step", "entrainement": "train",
    "apprentissage": "train",
    "temps": "time", "duree": "time", "erreur": "error", "moyenne": "avg", "meilleure": "best", "meilleur": "best",
    # Spanish, Portuguese, Italian
    "perdida": "loss", "perda": "loss", "perdita": "loss", "exactitud": "accuracy", "acuracia": "accuracy", "accuratezza": "accuracy",
    "epoca": "epoch", "epocas": "epoch", "paso": "step", "passo": "step", "iteracion": "iteration", "iteracao": "iteration",
    "iterazione": "iteration",
    "entrenamiento": "train", "treino": "train", "treinamento": "train", "addestramento": "train", "validacion": "val", "validacao": "val",
    "validazione": "val", "prueba": "test", "teste": "test", "tiempo": "time", "tempo": "time", "mejor": "best", "melhor": "best",
    "migliore": "best",
    "erro": "error", "errore": "error", "promedio": "avg", "media": "avg",
    # Polish, Dutch, Swedish, Turkish, Vietnamese
    "strata": "loss", "treningowa": "train", "treningowy": "train", "walidacyjna": "val", "walidacyjny": "val",
    "kayıp": "loss", "epok": "epoch", "dokladnosc": "accuracy", "dokladnosc.": "accuracy", "epoka": "epoch", "krok": "step", "walidacja": "val",
    "verlies": "loss",
    "nauwkeurigheid": "accuracy", "stap": "step", "forlust": "loss", "noggrannhet": "accuracy", "steg": "step", "kayip": "loss",
    "dogruluk": "accuracy",
    "adim": "step", "egitim": "train", "dogrulama": "val",
}  # fmt: skip

# Said in several words: replaced before words are looked at one by one.
PHRASES: dict[str, str] = {
    "learning rate": "lr", "learn rate": "lr", "taux d apprentissage": "lr", "taux train": "lr", "tasa de aprendizaje": "lr",
    "taxa de aprendizado": "lr",
    "tasso di apprendimento": "lr", "precision balanceada": "accuracy", "mean squared error": "mse", "mean square error": "mse",
    "root mse": "rmse",
    "root mean squared error": "rmse", "mean absolute error": "mae", "mean absolute percentage error": "mape", "log loss": "logloss",
    "negative log likelihood": "nll", "cross entropy": "crossentropy", "exact match": "em", "word error rate": "wer",
    "character error rate": "cer",
    "roc auc": "auc", "auc roc": "auc", "area under curve": "auc", "average precision": "ap", "mean average precision": "map", "mean ap": "map",
    "mean iou": "miou", "mean io u": "miou", "r squared": "r2", "r 2": "r2", "r2 score": "r2", "top 1": "top1", "top 5": "top5", "top 3": "top3",
    "gradient norm": "gradnorm", "grad norm": "gradnorm", "total norm": "gradnorm", "norm of gradient": "gradnorm", "batch size": "batchsize",
    "time step": "timestep", "weight decay": "weightdecay", "so far": "", "val date": "validate",
}  # fmt: skip

TRAIN = _all("train training trn tr trng fit learn entrenar")
VAL = _all(
    "val valid validation eval evaluation evaluate validate validating evaluating dev holdout heldout vld va vali vl"
)
TEST = _all("test testing tst te")

STEP = _all(
    "step steps iter iters iteration iterations it itr batch batches minibatch update updates timestep timesteps gstep tick niter "
    "batchidx progress"
)
EPOCH = _all("epoch epochs ep round rounds cycle sweep")
PLURAL = _all("steps iters iterations batches updates epochs rounds")
COUNTED = _all(
    "global current cur idx index no nr number num total trainer the this a at of in and done after lm logging n env is was now s "
    "starting start started begin "
    "beginning end finished finish completed complete results result for summary running iters' info"
)

TIME = _all(
    "time times sec secs second seconds dur duration elapsed eta runtime wall timestamp date datetime ms msec millis hours hour "
    "minutes minute mins "
    "speed throughput fps wps ups latency remaining ago finished started clock walltime per relative"
)
MACHINE = _all(
    "mem memory vram cuda gpu gpus cpu ram mfu hfu tflops tflop flops flos flop utilization util disk rank node device pid"
)
SPREAD = _all("std stdev var variance stderr sem ci lower upper")
BEST = _all(
    "best lowest highest patience counter previous prev improvement improved improve delta threshold target since"
)
COUNTS = _all(
    "samples sample examples instances labels tokens token seen consumed skipped nan params parameters count counts len length lens "
    "correct images "
    "image size img bsz wpb vnum version v scale scaling port line world worker workers clip episodes lengths failed requests weight "
    "weights coef coefficient lambda ratio"
)
SETTINGS: dict[str, str] = {
    "batchsize": "batch_size",  "bs": "batch_size", "micro batchsize": "batch_size", "train batchsize": "batch_size",
    "per device train batchsize": "batch_size", "global batchsize": "batch_size", "num classes": "classes", "n classes": "classes",
    "nb classes": "classes", "number of classes": "classes", "nc": "classes", "class num": "classes", "num epochs": "epochs",
    "max epochs": "epochs",
    "n epochs": "epochs", "total epochs": "epochs", "total epoch": "epochs", "num train epochs": "epochs", "max epoch": "epochs",
    "nb epoch": "epochs",
    "nepochs": "epochs", "max steps": "steps", "total steps": "steps", "num steps": "steps", "num train steps": "steps", "max iters": "steps",
    "max iter": "steps", "num iterations": "steps", "train iters": "steps", "total optimization steps": "steps",
    "steps per epoch": "steps_per_epoch",
    "num batches per epoch": "steps_per_epoch", "iterations per epoch": "steps_per_epoch", "num examples": "rows",
    "train samples": "rows", "trainable parameters": "parameters", "num parameters": "parameters", "optimizer": "optimizer",
    "optim": "optimizer",
}  # fmt: skip
CONFIG = _all(
    "hidden layers layer nlayers dropout seq chunk embedding embed dim width depth units filters kernel stride batchsize weightdecay "
    "wd momentum "
    "beta beta1 beta2 betas alpha gamma eps epsilon seed optimizer optim activation heads head warmup interval freq frequency every "
    "accumulation save "
    "vocab context channels channel features classes bs split config bias max min port num mom temperature"
)
RUN = _all("run runid trial experiment exp job jobid")
FOLD = _all("fold kfold folds cv")
PART = _all("mode phase split stage part subset set dataset type kind")

METRICS: dict[str, str] = {
    "acc": "accuracy", "accu": "accuracy", "accuracy": "accuracy", "accs": "accuracy", "accuracies": "accuracy", "top": "accuracy",
    "prec": "precision",
    "precision": "precision", "recall": "recall", "sensitivity": "recall", "tpr": "recall", "f1": "f1", "f1score": "f1",
    "fscore": "f1", "auc": "auc",
    "auroc": "auc", "rocauc": "auc", "auprc": "ap", "ap": "ap", "map": "map", "iou": "iou", "miou": "iou", "dice": "dice", "jaccard": "iou",
    "bleu": "bleu", "sacrebleu": "bleu", "rouge": "rouge", "rougel": "rouge", "wer": "wer", "cer": "cer", "mae": "mae", "mse": "mse",
    "rmse": "rmse",
    "mape": "mape", "r2": "r2", "rsq": "r2", "ppl": "perplexity", "perplexity": "perplexity", "perp": "perplexity", "error": "error",
    "err": "error",
    "errors": "error", "kappa": "kappa", "mcc": "mcc", "matthews": "mcc", "spearman": "correlation", "spearmanr": "correlation",
    "pearson": "correlation",
    "pearsonr": "correlation", "psnr": "psnr", "ssim": "ssim", "fid": "fid", "reward": "reward", "rewards": "reward", "rew": "reward",
    "return": "reward",
    "returns": "reward", "score": "score", "scores": "score", "em": "accuracy", "logloss": "log_loss", "mlogloss": "log_loss",
    "binarylogloss": "log_loss",
    "merror": "error", "l2": "mse", "l1": "mae", "rmsle": "rmse", "ndcg": "ndcg", "mrr": "mrr", "hits": "recall",
    "specificity": "specificity", "bpc": "bits", "bpb": "bits", "bits": "bits",
    "accuray": "accuracy", "acurracy": "accuracy", "accurarcy": "accuracy",
}  # fmt: skip
LOSS = _all("loss losses lossv nll xent crossentropy ce bce cost objective elbo los criterion lloss")
FILLERS = _all(
    "avg avr average averaged mean total running smoothed smooth ema value values batch current cur is the of on in at to for so far set "
    "final global overall sum "
    "main all done rate was now and with a an mini over data split per_epoch epochly last results result iteration epochs metrics metric categorical "
    "de da du des den der das la le el di do em en est es ist на при reached reaches became got equals about "
    "sparse binary multiclass macro micro weighted s training's dataset subset info model net k topk end log logs this each"
)
TOTALS = _all("total sum overall all")
ADVERSARIAL = _all("d g discriminator generator critic disc gen da db dreal dfake")
REINFORCED = re.compile(
    r"\b(reward|rewards|rew|return|returns|episode|ep_rew_mean|policy|ppo|actor|critic|q_loss|td_error)\b"
)
SAYS_PERCENT = re.compile(r"%|\bpercent|\bpct\b|prozent|百分")
